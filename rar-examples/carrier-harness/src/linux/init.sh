#!/bin/busybox sh
# The first program of a Linux that `cargo xtask carry` boots. Lines that begin with "carry: " are
# for programs to read; they go through the kernel's log, so that no other line cuts them.

/bin/busybox mkdir -p /proc /sys /dev /tmp
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs devtmpfs /dev 2> /dev/null
/bin/busybox --install -s /bin
export PATH=/bin:/carry/files HOME=/tmp
echo on > /proc/sys/kernel/printk_devkmsg
# With `quiet` or a low `loglevel=` the console would show neither these lines nor a module's.
read -r level _ < /proc/sys/kernel/printk
if [ "${level:-7}" -lt 7 ]; then echo 7 > /proc/sys/kernel/printk; fi

say() {
    echo "<4>carry: $*" > /dev/kmsg || echo "carry: $*"
}

# Interrupts of all CPUs with this name.
interrupts() {
    awk -v name="$1" '
        index($0, name) { for (i = 2; i <= NF; i++) if ($i ~ /^[0-9]+$/) sum += $i }
        END { print sum + 0 }' /proc/interrupts
}

while read -r driver; do
    insmod "/carry/drivers/$driver" || say "driver $driver cannot be loaded"
done < /carry/drivers.list

say "kernel $(uname -r)"
say "online $(cat /sys/devices/system/cpu/online)"
say "clock $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"

if [ -b /dev/vda ]; then
    sum=$(dd if=/dev/vda bs=64k count=64 2> /dev/null | sha256sum | cut -d ' ' -f 1)
    say "disk sum $sum, $(interrupts -req.) interrupts"
fi
if [ -d /sys/class/net/eth0 ]; then
    ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up
    answers=$(ping -c 2 -W 2 10.0.2.2 2> /dev/null | grep -c 'bytes from')
    say "network $answers answers, $(interrupts -input.) interrupts"
fi

while read -r module; do
    say "module $module"
    insmod "/carry/modules/$module"
    say "module $module exit $?"
done < /carry/modules.list

while read -r command; do
    say "run $command"
    sh -c "$command" < /dev/null
    say "run exit $?"
done < /carry/commands.list

if [ -e /carry/shell ]; then
    say "a shell; exit ends the machine"
    setsid cttyhack sh
fi
say "done"
sync
poweroff -f
