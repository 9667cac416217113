#!/bin/sh
# SPDX-License-Identifier: MIT OR GPL-2.0
# Loads rar_check.ko once, prints its lines, unloads it.
# Exit code: 0 no test failed, 1 a test failed, 2 the machine was refused or the module not loaded,
# 3 the run's lines are not complete, or no test passed.
set -u

usage() {
	echo "usage: $0 [PARAMETER=VALUE ...]"
	echo "  any_model=1 deadline_ms=N storm_rounds=N seconds=N ignore_enabled=1 odd_entries=1"
	echo "  What they do is in README.md and in modinfo rar_check.ko."
	echo "  The lines of the run go to the standard output; keep them for cargo xtask report."
}

case "${1:-}" in
-h | --help)
	usage
	exit 0
	;;
esac

module=$(dirname "$0")/rar_check.ko
if [ ! -f "$module" ]; then
	echo "rar_check.ko: not found (expected $module); run make first" >&2
	exit 2
fi
if [ "$(id -u)" != 0 ]; then
	echo "$0: needs root to load a module; use sudo" >&2
	exit 2
fi

echo "loading rar_check.ko; the run takes up to a minute" >&2
# Lines of a run before do not count.
mark="run.sh: run $$ at $(cut -d ' ' -f 1 /proc/uptime)"
echo "$mark" > "${RAR_CHECK_KMSG:-/dev/kmsg}"
insmod "$module" "$@"
loaded=$?
lines=$(dmesg | awk -v mark="$mark" '
	index($0, mark) || /rar_check: TAP version/ { text = "" }
	/rar_check: / { text = text $0 "\n" }
	END { printf "%s", text }')
printf '%s\n' "$lines"
if [ "$loaded" != 0 ]; then
	why=$(printf '%s\n' "$lines" | sed -n 's/.*1\.\.0 # SKIP //p')
	echo "$0: not run: ${why:-insmod ended with $loaded, see dmesg}" >&2
	exit 2
fi
rmmod rar_check || echo "$0: the module stays loaded; see dmesg" >&2
case "$lines" in
*'rar_check: not ok '*) exit 1 ;;
esac
# Without its last line nothing is known of the rest: the kernel's log may have overflowed.
sum=$(printf '%s\n' "$lines" | sed -n 's/.*rar_check: # \([0-9]* passed, [0-9]* failed, .*\)/\1/p')
case "$sum" in
'')
	echo "$0: the lines of the run are not complete in the kernel's log; run it again" >&2
	exit 3
	;;
'0 passed'*)
	echo "$0: no test passed ($sum)" >&2
	exit 3
	;;
*', 0 failed'*)
	echo "$0: $sum" >&2
	;;
*)
	echo "$0: a test failed whose line is not in the kernel's log ($sum)" >&2
	exit 1
	;;
esac
