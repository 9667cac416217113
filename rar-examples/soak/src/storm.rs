//! A storm: all CPUs flush each other at the same time.
//!
//! Each CPU owns a page whose value only grows. Where the driver's responder flushes in software,
//! the machine counts what flushes a whole TLB. A CPU that has read a value, has had no such flush
//! since, and reads a greater one, has verified the flush in between.

use core::sync::atomic::Ordering;

use rar_payload::{PageRange, PageSize, Request};
use rar_percpu::CpuId;
use rar_shootdown::AllOnline;
use rar_suite::Platform;
use rar_vocabulary::{Backend, SoakOperation};

use crate::accounts::since;
use crate::cpu::Cpu;
use crate::doing::Doing;
use crate::failure::Kind;
use crate::layout::{MOST_CPUS, STORM_SPACES, storm_page};
use crate::random::Random;
use crate::state::FAULT;

/// How many flushes each CPU makes.
const FLUSHES: u32 = 64;
/// How many pages of others a CPU reads between two flushes of its own.
const READS: u32 = 3;
/// Each flush has a request for each of two spaces.
const REQUESTS: usize = 2;

/// What a CPU has read from the page of another, and how many flushes of its whole TLB there were.
type Seen = [(u64, u64); MOST_CPUS as usize];

impl<L: Platform> Cpu<'_, L> {
    /// Takes part in a storm.
    pub(crate) fn storm(&self, random: &mut Random, interrupts_off: bool) {
        let operation = Doing::Operation(SoakOperation::Storm);
        self.shared.doing.store(operation.code(), Ordering::Relaxed);
        self.leave_lazy();
        let [even, odd] = STORM_SPACES;
        let space = if random.one_in(2) { even } else { odd };
        self.put_thread();
        self.enter(space, random);
        let (before, begun) = (self.counters(), self.platform.now().as_nanos());
        self.barrier();
        if interrupts_off {
            self.platform.disable_interrupts();
        }
        let mut seen: Seen = [(FAULT, 0); MOST_CPUS as usize];
        for _ in 0..FLUSHES {
            if self.shared.failure.is_set() {
                break;
            }
            self.flush_own_page();
            // Reads wait for no CPU: one that takes long over them did not run.
            let mut last = self.first_look();
            for _ in 0..READS {
                self.look(random, &mut seen);
            }
            self.look_again(&mut last);
        }
        self.barrier();
        if interrupts_off {
            self.platform.enable_interrupts();
        }
        self.barrier();
        if self.me == 0 {
            let counted = since(&self.counters(), &before);
            self.judge_storm(&counted, begun);
        }
    }

    fn judge_storm(&self, counted: &[u64; 8], begun: u64) {
        // With more flushes at a time than slots, some go without.
        let crowded = self.cpus() as usize * REQUESTS > self.platform.entries();
        if !crowded {
            self.judge_counters(counted, begun);
        }
    }

    fn flush_own_page(&self) {
        let value = self.post().storm_published.load(Ordering::Relaxed) + 1;
        self.map_storm_page(value);
        let address = self.platform.address(storm_page(self.me));
        let requests = STORM_SPACES.map(|space| {
            let pcid = self.platform.pcid(space);
            match PageRange::new(address, 1, PageSize::Size4K) {
                Ok(range) => Request::Pages { pcid, range },
                Err(_) => Request::AddressSpace { pcid },
            }
        });
        self.shared.flushes.fetch_add(1, Ordering::Relaxed);
        let cpu = self.platform.pin();
        let flushed = self.platform.shootdown().flush(&cpu, &requests, &AllOnline);
        match flushed {
            Ok(()) => {
                self.post().storm_published.store(value, Ordering::Release);
                self.shared.tally.flushed(SoakOperation::Storm, 1);
            }
            Err(_) => self.fail(Kind::FlushFailed, (self.space(), 0), 0, 1),
        }
    }

    /// Reads the page of another CPU.
    fn look(&self, random: &mut Random, seen: &mut Seen) {
        let distance = 1 + random.below(self.cpus().saturating_sub(1));
        let cpu = (self.me + distance) % self.cpus();
        let whole = self.whole_flushes();
        let found = self.load_of_storm(cpu);
        let Some(last) = seen.get_mut(cpu as usize) else {
            return;
        };
        let (read, flushes) = core::mem::replace(last, (found, self.whole_flushes()));
        let by_software = self.platform.backend() == Backend::Software;
        if by_software && read < found && found != FAULT && flushes == whole {
            let verified = &self.shared.post(cpu).storm_verified;
            if verified.fetch_max(read + 1, Ordering::AcqRel) < read + 1 {
                self.shared.tally.verified(SoakOperation::Storm);
            }
        }
    }

    fn whole_flushes(&self) -> u64 {
        let witness = self.platform.witness();
        witness.whole_flushes_of(CpuId::new(self.me))
    }
}
