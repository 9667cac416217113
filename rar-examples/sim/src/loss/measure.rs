//! The cost of a change under a policy.

use super::ground::{self, After, CPUS};
use super::policies::Policy;
use super::workload::Workload;

/// The cost of a change, over all CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Cached translations that the change names. They must be gone.
    pub named: u64,
    /// Cached translations that are gone but not named by the change.
    pub needless: u64,
    /// How often the idle CPU was disturbed.
    pub disturbed: u64,
}

/// Fills every TLB with the same translations, makes the change and flushes by the policy.
///
/// # Errors
///
/// The reason, if the machine cannot be brought up, the flush fails, or a translation that the
/// change names is left.
pub fn measure(policy: Policy, workload: &Workload) -> Result<Loss, String> {
    judge(workload, policy.run(workload)?)
}

fn judge(workload: &Workload, after: After) -> Result<Loss, String> {
    let before = ground::translations();
    let named = before.iter().filter(|held| workload.names(held)).count();
    let mut needless = 0;
    for left in after.contents {
        if left.iter().any(|held| workload.names(held)) {
            return Err(format!(
                "{}: a translation that it names is left",
                workload.name
            ));
        }
        needless += before.len() - named - left.len();
    }
    Ok(Loss {
        named: named as u64 * u64::from(CPUS),
        needless: needless as u64,
        disturbed: after.disturbed,
    })
}

#[cfg(test)]
mod tests {
    use rar_model::Translation;

    use super::*;

    #[test]
    fn a_translation_that_the_change_names_and_that_is_left_is_no_loss_but_an_error() {
        for workload in Workload::all() {
            let mut contents = vec![Vec::new(); CPUS as usize];
            let nothing = After {
                contents: contents.clone(),
                disturbed: 0,
            };
            let before = ground::translations().len() as u64 * u64::from(CPUS);
            let all = judge(&workload, nothing).unwrap();
            assert_eq!(all.named + all.needless, before);
            let named = |held: &Translation| workload.names(held);
            let left = ground::translations().into_iter().find(named).unwrap();
            contents[1].push(left);
            let under = After {
                contents,
                disturbed: 0,
            };
            assert!(judge(&workload, under).is_err(), "{}", workload.name);
        }
    }
}
