//! "This CPU, now" does not travel to another thread.
use rar_percpu::fake::pinned;

fn main() {
    let cpu = pinned(0);
    std::thread::spawn(move || cpu.id());
}
