//! What `cargo test` prints.

use rar_vocabulary::Counts;

/// Adds up the results of all test programs in the output of `cargo test`.
#[must_use]
pub fn count(output: &str) -> Counts {
    let mut count = Counts::NONE;
    for line in output
        .lines()
        .filter_map(|line| line.strip_prefix("test result: "))
    {
        let words: Vec<_> = line
            .split([' ', '.', ';'])
            .filter(|word| !word.is_empty())
            .collect();
        for pair in words.windows(2) {
            let [number, word] = pair else { continue };
            let Ok(number) = number.parse::<usize>() else {
                continue;
            };
            match *word {
                "passed" => count.passed += number,
                "failed" => count.failed += number,
                "ignored" => count.skipped += number,
                _ => {}
            }
        }
    }
    count
}

/// A test that failed, in the output of `cargo test`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedTest {
    /// Its name, as the test program prints it.
    pub name: String,
    /// What it printed.
    pub text: String,
}

/// Returns the failed tests of all test programs in the output of `cargo test`, in their order.
#[must_use]
pub fn failed(output: &str) -> Vec<FailedTest> {
    let mut tests: Vec<FailedTest> = Vec::new();
    let mut inside = false;
    for line in output.lines() {
        let name = line
            .strip_prefix("---- ")
            .and_then(|line| line.strip_suffix(" stdout ----"));
        if let Some(name) = name {
            tests.push(FailedTest {
                name: name.to_owned(),
                text: String::new(),
            });
        }
        // The names of all that failed follow, then the program's result.
        inside = name.is_some() || inside && line != "failures:" && !is_result(line);
        if let (true, None, Some(test)) = (inside, name, tests.last_mut()) {
            test.text.push_str(line);
            test.text.push('\n');
        }
    }
    tests
}

fn is_result(line: &str) -> bool {
    line.starts_with("test result: ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_all_programs_are_added() {
        let output = "running 3 tests\n\
            test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; \
            finished in 0.00s\n\
            test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 7 filtered out; \
            finished in 0.10s\n";
        assert_eq!(
            count(output),
            Counts {
                passed: 5,
                failed: 1,
                skipped: 1,
                observed: 0,
            }
        );
        assert_eq!(count("nothing"), Counts::NONE);
    }

    #[test]
    fn failed_tests_are_found_with_what_they_printed() {
        let output = "running 3 tests\n\
            test one::passes ... ok\n\
            test one::fails ... FAILED\n\
            \n\
            failures:\n\
            \n\
            ---- one::fails stdout ----\n\
            thread 'one::fails' panicked at src/one.rs:7:9:\n\
            got 3, expected 4\n\
            \n\
            ---- src/lib.rs - two (line 12) stdout ----\n\
            no\n\
            \n\
            failures:\n\
            \u{20}   one::fails\n\
            \n\
            test result: FAILED. 1 passed; 2 failed; 0 ignored\n\
            running 1 test\n\
            test three ... ok\n";
        let failed = failed(output);
        let names: Vec<_> = failed.iter().map(|test| test.name.as_str()).collect();
        assert_eq!(names, ["one::fails", "src/lib.rs - two (line 12)"]);
        let texts: Vec<_> = failed.iter().map(|test| test.text.trim_end()).collect();
        assert_eq!(
            texts,
            [
                "thread 'one::fails' panicked at src/one.rs:7:9:\ngot 3, expected 4",
                "no"
            ]
        );
        assert_eq!(super::failed("test three ... ok\n"), []);
    }
}
