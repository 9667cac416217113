//! What a roll call costs, and who comes.

use std::cell::{Cell, RefCell};

use super::*;

/// CPUs that come some microseconds after a start-up message, or never.
struct Machine<'s> {
    slots: &'s [StartSlot],
    delays: Vec<Option<u64>>,
    /// Start-up messages that each CPU needs.
    messages: u32,
    now: Cell<u64>,
    sent: RefCell<Vec<(u32, Option<u64>)>>,
    inits: Cell<usize>,
    not_yet: Cell<usize>,
    prepared: Cell<Option<u64>>,
}

impl StartMachine for Machine<'_> {
    fn init(&self, id: u32) {
        let slot = &self.slots[id as usize];
        assert!(!slot.has_come(), "CPU {id} is reset though it came");
        self.sent.borrow_mut()[id as usize] = (0, None);
        self.inits.set(self.inits.get() + 1);
    }

    fn prepare(&self) {
        self.prepared.set(Some(self.now.get()));
    }

    fn startup(&self, id: u32) {
        let now = self.now.get();
        assert_eq!(self.prepared.get(), Some(now), "time passed since the look");
        let delay = self.delays[id as usize];
        let (messages, comes) = &mut self.sent.borrow_mut()[id as usize];
        *messages += 1;
        if *messages >= self.messages && comes.is_none() {
            *comes = delay.map(|delay| self.now.get() + delay);
        }
    }

    fn microseconds(&self) -> u64 {
        self.now.get()
    }

    fn pause(&self) {
        self.now.set(self.now.get() + 100);
        for (slot, (_, comes)) in self.slots.iter().zip(self.sent.borrow().iter()) {
            if comes.is_some_and(|comes| comes <= self.now.get()) {
                slot.come();
            }
        }
    }

    fn not_yet(&self, cpus: usize) {
        self.not_yet.set(cpus);
    }
}

/// Calls CPUs with these delays; returns which came, the time in milliseconds, and how many INITs
/// were sent.
fn call(delays: &[Option<u64>], messages: u32) -> (Vec<usize>, u64, usize) {
    let slots: Vec<_> = delays.iter().map(|_| StartSlot::new()).collect();
    for (slot, id) in slots.iter().zip(0..) {
        slot.name(id);
    }
    let machine = Machine {
        slots: &slots,
        delays: delays.to_vec(),
        messages,
        now: Cell::new(0),
        sent: RefCell::new(vec![(0, None); delays.len()]),
        inits: Cell::new(0),
        not_yet: Cell::new(0),
        prepared: Cell::new(None),
    };
    call_roll(&machine, || slots.iter());
    assert!(slots.iter().all(|slot| !slot.is_awaited()));
    let came = slots.iter().enumerate().filter(|(_, slot)| slot.has_come());
    let came: Vec<_> = came.map(|(number, _)| number).collect();
    assert!(
        machine.not_yet.get() == 0 || came.len() < delays.len() || machine.inits.get() > came.len()
    );
    (came, machine.now.get() / 1000, machine.inits.get())
}

#[test]
fn a_thousand_cpus_start_in_one_wait() {
    let (came, milliseconds, inits) = call(&[Some(150); 1_023], 1);
    assert_eq!((came.len(), inits), (1_023, 1_023));
    assert!(milliseconds < 20, "{milliseconds}");
    // Where each needs its second message.
    let (came, milliseconds, _) = call(&[Some(150); 1_023], 2);
    assert!(came.len() == 1_023 && milliseconds < 20, "{milliseconds}");
}

#[test]
fn sixty_four_cpus_that_do_not_exist_cost_what_one_costs() {
    let real = [Some(150); 3];
    let one = call(&[real.as_slice(), &[None]].concat(), 1);
    let many = call(&[real.as_slice(), &[None; 64]].concat(), 1);
    assert_eq!((&one.0, &many.0), (&vec![0, 1, 2], &vec![0, 1, 2]));
    assert_eq!(one.1, many.1);
    assert!((2_000..2_100).contains(&many.1), "{}", many.1);
    assert_eq!(many.2, 3 + 64 + 64);
}

#[test]
fn cpus_that_come_one_by_one_are_all_awaited() {
    // A busy host: one CPU each 900 ms.
    let delays: Vec<_> = (1..=20).map(|number| Some(number * 900_000)).collect();
    let (came, milliseconds, inits) = call(&delays, 1);
    assert_eq!((came.len(), inits), (20, 20));
    assert!(milliseconds < 19_000, "{milliseconds}");
}

#[test]
fn the_wait_has_an_end() {
    let delays: Vec<_> = (1..=100).map(|number| Some(number * 900_000)).collect();
    let (came, milliseconds, _) = call(&delays, 1);
    assert!(came.len() < 100 && milliseconds < 62_000, "{milliseconds}");
}

#[test]
fn a_late_cpu_gets_a_second_init() {
    let (came, milliseconds, inits) = call(&[Some(1_500_000)], 1);
    assert_eq!((came.len(), inits), (0, 2));
    assert!(milliseconds < 2_100);
    assert_eq!(call(&[], 1), (vec![], 0, 0));
}
