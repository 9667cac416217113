//! The functions of the kernel above: its main function, and what each CPU does first.

use crate::CommandLine;

unsafe extern "Rust" {
    /// What the kernel built on this crate does. Made by [`entry!`](crate::entry).
    safe fn rar_kernel_main() -> !;
    /// What each CPU does first. Made by [`entry!`](crate::entry).
    safe fn rar_kernel_arrive(arrival: Arrival<'_>);
}

/// How far a CPU has come.
///
/// It has memory and traps. Where it arrives as [`First`](Self::First) or [`Later`](Self::Later),
/// it has not looked for features or its local APIC yet.
#[derive(Clone, Copy, Debug)]
pub enum Arrival<'a> {
    /// The boot CPU has a console, and nothing that takes time was done.
    Boot {
        /// The command line.
        command_line: &'a CommandLine,
    },
    /// The boot CPU.
    First {
        /// The command line.
        command_line: &'a CommandLine,
        /// The physical address of the local APICs.
        local_apic: u64,
        /// Whether the kernel uses x2APIC mode if CPUID offers it.
        x2apic_wanted: bool,
    },
    /// A CPU that starts later, or again.
    Later,
}

/// Names the function that the boot CPU runs once all CPUs are up, `fn() -> !`, and possibly what
/// each CPU does on its arrival, `fn(Arrival<'_>)`: before it asks CPUID for anything.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        $crate::entry!($main, |_| {});
    };
    ($main:path, $arrive:expr) => {
        const _: () = {
            /// The name that the boot code calls.
            // SAFETY: the one definition of this symbol in the kernel; the next line checks the
            // signature.
            #[unsafe(no_mangle)]
            extern "Rust" fn rar_kernel_main() -> ! {
                let main: fn() -> ! = $main;
                main()
            }

            /// The name that each CPU calls on its arrival.
            // SAFETY: the one definition of this symbol in the kernel; the next line checks the
            // signature.
            #[unsafe(no_mangle)]
            extern "Rust" fn rar_kernel_arrive(arrival: $crate::Arrival<'_>) {
                let arrive: fn($crate::Arrival<'_>) = $arrive;
                arrive(arrival);
            }
        };
    };
}

/// Runs the main function of the kernel above.
pub(crate) fn main() -> ! {
    rar_kernel_main()
}

/// Calls what the kernel above does with a CPU that arrives.
pub(crate) fn announce(arrival: Arrival<'_>) {
    rar_kernel_arrive(arrival);
}
