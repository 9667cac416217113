//! The modules of a crate: where each is, what it defines, and what it brings into scope.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use syn::{Attribute, Item, UseTree};

use crate::files::SourceTree;

/// One module.
#[derive(Default)]
pub(crate) struct Module {
    /// The path of its file.
    pub(crate) file: String,
    pub(crate) parent: Option<usize>,
    pub(crate) children: BTreeMap<String, usize>,
    /// The names of the items that the module defines.
    pub(crate) items: BTreeSet<String>,
    /// The names that `use` brings in, with the path of each.
    pub(crate) names: BTreeMap<String, Vec<String>>,
    /// The paths of `use path::*`.
    pub(crate) globs: Vec<Vec<String>>,
    /// What the module holds, without its tests and its child modules.
    pub(crate) content: Vec<Item>,
}

/// The modules of one crate. The first is the root.
#[derive(Default)]
pub(crate) struct Crate {
    pub(crate) modules: Vec<Module>,
}

impl Crate {
    /// Reads the crate whose root is at `root`; `None` if there is no such file.
    pub(crate) fn read(tree: &SourceTree, root: &str) -> Result<Option<Self>> {
        let Some(file) = tree.get(root) else {
            return Ok(None);
        };
        let mut made = Self::default();
        let folder = parent_of(root).to_owned();
        let items = parse(root, &file.text)?;
        made.add(tree, None, root, &folder, items)?;
        Ok(Some(made))
    }

    fn add(
        &mut self,
        tree: &SourceTree,
        parent: Option<usize>,
        file: &str,
        folder: &str,
        items: Vec<Item>,
    ) -> Result<usize> {
        let at = self.modules.len();
        self.modules.push(Module {
            file: file.to_owned(),
            parent,
            ..Module::default()
        });
        let mut content = Vec::new();
        for item in items {
            if is_for_tests(attributes(&item)) {
                continue;
            }
            let Item::Mod(module) = item else {
                self.note(at, &item);
                content.push(item);
                continue;
            };
            let name = module.ident.to_string();
            let below = format!("{folder}/{name}");
            let child = match module.content {
                Some((_, items)) => Some(self.add(tree, Some(at), file, &below, items)?),
                None => {
                    let path = path_attribute(&module.attrs)
                        .map(|path| normal(&format!("{}/{path}", parent_of(file))));
                    let places = [
                        path.unwrap_or_default(),
                        format!("{below}.rs"),
                        format!("{below}/mod.rs"),
                    ];
                    let found = places.iter().find_map(|place| tree.get(place));
                    match found {
                        Some(found) => {
                            let items = parse(&found.path, &found.text)?;
                            Some(self.add(tree, Some(at), &found.path, &below, items)?)
                        }
                        None => None,
                    }
                }
            };
            if let (Some(child), Some(module)) = (child, self.modules.get_mut(at)) {
                module.children.insert(name, child);
            }
        }
        if let Some(module) = self.modules.get_mut(at) {
            module.content = content;
        }
        Ok(at)
    }

    /// Notes what an item defines or brings in.
    fn note(&mut self, at: usize, item: &Item) {
        let Some(module) = self.modules.get_mut(at) else {
            return;
        };
        let name = match item {
            Item::Const(item) => &item.ident,
            Item::Enum(item) => &item.ident,
            Item::Fn(item) => &item.sig.ident,
            Item::Static(item) => &item.ident,
            Item::Struct(item) => &item.ident,
            Item::Trait(item) => &item.ident,
            Item::TraitAlias(item) => &item.ident,
            Item::Type(item) => &item.ident,
            Item::Union(item) => &item.ident,
            Item::Macro(item) => match &item.ident {
                Some(name) => name,
                None => return,
            },
            Item::Use(item) => {
                bring_in(module, &mut Vec::new(), &item.tree);
                return;
            }
            _ => return,
        };
        module.items.insert(name.to_string());
    }
}

fn bring_in(module: &mut Module, path: &mut Vec<String>, tree: &UseTree) {
    match tree {
        UseTree::Path(tree) => {
            path.push(tree.ident.to_string());
            bring_in(module, path, &tree.tree);
            path.pop();
        }
        UseTree::Name(tree) => {
            let name = tree.ident.to_string();
            let mut whole = path.clone();
            // `use a::{self}` names `a`.
            if name != "self" {
                whole.push(name);
            }
            if let Some(last) = whole.last().cloned() {
                module.names.insert(last, whole);
            }
        }
        UseTree::Rename(tree) => {
            let mut whole = path.clone();
            if tree.ident != "self" {
                whole.push(tree.ident.to_string());
            }
            module.names.insert(tree.rename.to_string(), whole);
        }
        UseTree::Glob(_) => module.globs.push(path.clone()),
        UseTree::Group(group) => {
            for each in &group.items {
                bring_in(module, path, each);
            }
        }
    }
}

fn parse(path: &str, text: &str) -> Result<Vec<Item>> {
    let file = syn::parse_file(text).with_context(|| format!("{path} is not valid Rust"))?;
    Ok(file.items)
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Returns whether `#[cfg(test)]` or `#[test]` marks the item.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let is_cfg_test = attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|path| path.is_ident("test"));
        is_cfg_test || attribute.path().is_ident("test")
    })
}

/// Returns the text of `#[path = "text"]`.
fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| {
        let value = attribute.meta.require_name_value().ok()?;
        let syn::Expr::Lit(literal) = &value.value else {
            return None;
        };
        let syn::Lit::Str(text) = &literal.lit else {
            return None;
        };
        value.path.is_ident("path").then(|| text.value())
    })
}

/// Returns the folder of a file.
fn parent_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Returns a path without `.` and `..`.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}
