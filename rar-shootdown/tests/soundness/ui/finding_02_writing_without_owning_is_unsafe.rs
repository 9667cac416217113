//! Finding 2: a test of a unit may write any entry and arm any byte, if it promises to own the
//! slot.
use rar_payload::Payload;
use rar_percpu::{ActionVector, PayloadTable, SlotIndex};

fn write(table: &PayloadTable, vector: &ActionVector, slot: SlotIndex) {
    table.store_payload(slot, &Payload::from_words([0; 8]));
    vector.arm_unowned(slot);
}

fn main() {}
