//! Which file of a crate names what another file defines.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

use crate::modules::{Crate, Module};

/// How often one name may stand for another before the search gives up.
const MAX_STEPS: usize = 32;

/// The names that tie one file to another: (from, to) -> names.
pub(crate) type Ties = BTreeMap<(String, String), BTreeSet<String>>;

/// Returns the ties between the files of a crate. Tests are left out, and so are the `mod` lines,
/// which only build the tree.
pub(crate) fn ties(of: &Crate) -> Ties {
    let mut ties = Ties::new();
    for (at, module) in of.modules.iter().enumerate() {
        for path in paths(module) {
            let Some(target) = resolve(of, at, &path, MAX_STEPS) else {
                continue;
            };
            let Some(target) = of.modules.get(target) else {
                continue;
            };
            if path.len() > 1 && target.file != module.file {
                ties.entry((module.file.clone(), target.file.clone()))
                    .or_default()
                    .insert(path.join("::"));
            }
        }
    }
    ties
}

/// Returns the paths that a module names.
fn paths(module: &Module) -> BTreeSet<Vec<String>> {
    let mut collected = Paths::default();
    for item in &module.content {
        collected.visit_item(item);
    }
    let mut paths = collected.0;
    paths.extend(module.names.values().cloned());
    paths.extend(module.globs.iter().cloned());
    paths
}

#[derive(Default)]
struct Paths(BTreeSet<Vec<String>>);

impl<'ast> Visit<'ast> for Paths {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string());
        self.0.insert(names.collect());
        visit::visit_path(self, path);
    }

    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {
        // `pub(in path)` says who may see the item, and takes nothing from there.
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        self.tokens(call.tokens.clone());
    }
}

impl Paths {
    /// Adds each `a::b::c` of a macro's tokens.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.end(&mut path);
                    }
                    path.push(name.to_string());
                    colons = 0;
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' && !path.is_empty() => colons += 1,
                TokenTree::Group(group) => {
                    self.end(&mut path);
                    colons = 0;
                    self.tokens(group.stream());
                }
                _ => {
                    self.end(&mut path);
                    colons = 0;
                }
            }
        }
        self.end(&mut path);
    }

    fn end(&mut self, path: &mut Vec<String>) {
        if !path.is_empty() {
            self.0.insert(std::mem::take(path));
        }
    }
}

/// Returns the module that defines what `path` names in module `at`; `None` if another crate does.
fn resolve(of: &Crate, at: usize, path: &[String], steps: usize) -> Option<usize> {
    let steps = steps.checked_sub(1)?;
    let (first, rest) = path.split_first()?;
    let module = of.modules.get(at)?;
    let start = match first.as_str() {
        "crate" => 0,
        "self" => at,
        "super" => module.parent?,
        name => return member(of, at, name, rest, steps),
    };
    follow(of, start, rest, steps)
}

/// Follows the rest of a path from a module on.
fn follow(of: &Crate, at: usize, rest: &[String], steps: usize) -> Option<usize> {
    let Some((name, rest)) = rest.split_first() else {
        return Some(at);
    };
    if name == "super" {
        return follow(of, of.modules.get(at)?.parent?, rest, steps);
    }
    member(of, at, name, rest, steps)
}

/// Returns the module that defines `name::rest`, as module `at` sees it.
fn member(of: &Crate, at: usize, name: &str, rest: &[String], steps: usize) -> Option<usize> {
    let steps = steps.checked_sub(1)?;
    let module = of.modules.get(at)?;
    if let Some(child) = module.children.get(name) {
        return follow(of, *child, rest, steps);
    }
    if module.items.contains(name) {
        return Some(at);
    }
    if let Some(path) = module.names.get(name) {
        let whole: Vec<_> = path.iter().chain(rest).cloned().collect();
        // A name that stands for itself comes from another crate.
        return (path.first().map(String::as_str) != Some(name))
            .then(|| resolve(of, at, &whole, steps))?;
    }
    module.globs.iter().find_map(|glob| {
        let source = resolve(of, at, glob, steps)?;
        (source != at).then(|| member(of, source, name, rest, steps))?
    })
}
