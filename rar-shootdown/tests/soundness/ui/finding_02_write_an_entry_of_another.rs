//! Finding 2: entries are written and bytes are armed by those who own the slot, through
//! `Claimed::post`.
use rar_payload::Operation;
use rar_percpu::{ActionState, ActionVector, PayloadTable, SlotIndex};

fn write(table: &PayloadTable, vector: &ActionVector, slot: SlotIndex, operation: &Operation) {
    table.store(slot, operation);
    vector.arm(slot);
    vector.take(slot);
    vector.finish(slot, vector.load(slot), ActionState::Success);
}

fn main() {}
