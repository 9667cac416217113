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
}
