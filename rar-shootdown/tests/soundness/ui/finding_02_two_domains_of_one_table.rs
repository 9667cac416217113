//! Finding 2: a payload table is made with its domain and never leaves it.
use rar_percpu::{Domain, PayloadTable};

fn main() {
    let _table = PayloadTable::new();
    let domain = Domain::<1>::new();
    let _second = Domain::<1>::new(domain.table());
    let _moved: PayloadTable = *domain.table();
}
