//! The program, on whatever machine the tests run.

use std::io;
use std::process::{Command, Output};

fn run(arguments: &[&str]) -> io::Result<Output> {
    let mut program = Command::new(env!("CARGO_BIN_EXE_rar-probe"));
    program.args(arguments).output()
}

#[test]
fn the_exit_code_is_that_of_the_answer() {
    let output = run(&["--json"]).unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let code = output.status.code().unwrap();
    assert_eq!(answer["exit_code"], code);
    assert_ne!(code, 2);
    let cpus = answer["cpus"].as_array().unwrap();
    assert!(!cpus.is_empty());
    // Each CPU without usable RAR has its reason.
    let why = cpus.iter().filter(|cpu| cpu["rar"] != "present");
    assert!(why.into_iter().all(|cpu| cpu["why"].is_string()));
    assert_eq!(run(&[]).unwrap().status.code(), Some(code));
}

#[test]
fn wrong_usage_is_2() {
    assert_eq!(run(&["--write"]).unwrap().status.code(), Some(2));
}
