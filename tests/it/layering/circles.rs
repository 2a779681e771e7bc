//! Files of the library that use each other, directly or through others: found from their paths and `use`s.
//!
//! A file uses another where it names an item that is defined there. An item that a file only passes on (`pub use`) is
//! followed to where it is defined: so `mod child;` and `pub use child::Item;` alone make no arrow. Tests are not looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A module's path from the crate's root: `["data", "idx"]`.
type Module = Vec<String>;

/// What a file says of others.
#[derive(Default)]
struct Source {
    file: String,
    uses: Vec<Use>,
    /// Everywhere else: `a::b::c` is three words, `a` one.
    paths: Vec<Vec<String>>,
}

/// `use path as name;`. The name of `use path::*` is `*`.
struct Use {
    name: String,
    path: Vec<String>,
    is_passed_on: bool,
}

/// Each file of `root` with the files that it uses, as paths below `root`.
pub fn arrows(root: &Path, files: &[std::path::PathBuf]) -> BTreeMap<String, BTreeSet<String>> {
    let mut sources = BTreeMap::new();
    for path in files {
        let relative = path.strip_prefix(root).unwrap();
        let mut module: Module = relative.with_extension("").iter().map(|part| part.to_str().unwrap().into()).collect();
        match module.last().map(String::as_str) {
            Some("main" | "tests") => continue,
            Some("lib" | "mod") => drop(module.pop()),
            _ => {}
        }
        let text = std::fs::read_to_string(path).unwrap();
        let mut source = Source { file: relative.display().to_string(), ..Source::default() };
        source.read(text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display())));
        sources.insert(module, source);
    }
    let modules = Modules(sources);
    modules.0.keys().map(|module| (modules.0[module].file.clone(), modules.used_by(module))).collect()
}

/// The groups of files that can be reached from each other.
pub fn circles(arrows: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<BTreeSet<&str>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        arrows.keys().map(|file| (file.as_str(), reached_from(file, arrows))).collect();
    let circle = |(file, others): (&&str, &BTreeSet<&str>)| -> BTreeSet<&str> {
        arrows
            .keys()
            .map(String::as_str)
            .filter(|other| others.contains(other) && reached[other].contains(*file))
            .collect()
    };
    reached.iter().map(|(file, others)| circle((file, others))).filter(|circle| circle.len() > 1).collect()
}

/// The files that `from` uses, directly or through others.
fn reached_from<'a>(from: &'a str, arrows: &'a BTreeMap<String, BTreeSet<String>>) -> BTreeSet<&'a str> {
    let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
    while let Some(file) = next.pop() {
        next.extend(arrows[file].iter().map(String::as_str).filter(|other| seen.insert(*other)));
    }
    seen
}

impl Source {
    fn read(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            at = match &tokens[at] {
                TokenTree::Punct(punct) if punct.as_char() == '#' && is_cfg_test(tokens.get(at + 1)) => {
                    item_end(&tokens, at + 2)
                }
                TokenTree::Ident(word) if word == "use" => {
                    let end = at + tokens[at..].iter().take_while(|token| !is_punct(token, ';')).count();
                    let is_passed_on = at > 0 && !is_punct(&tokens[at - 1], ';') && is_visibility(&tokens[..at]);
                    self.read_use(&tokens[at + 1..end], &[], is_passed_on);
                    end + 1
                }
                // what it declares is no use of it
                TokenTree::Ident(word) if word == "mod" => at + 2,
                TokenTree::Ident(_) => {
                    let (path, end) = path_at(&tokens, at);
                    // a field's or a method's name is none of an item
                    if !(at > 0 && is_punct(&tokens[at - 1], '.')) {
                        self.paths.push(path);
                    }
                    end
                }
                TokenTree::Group(group) => {
                    self.read(group.stream());
                    at + 1
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => at + 1,
            };
        }
    }

    /// What stands between `use` and `;`, or between braces in it, behind `before`.
    fn read_use(&mut self, tokens: &[TokenTree], before: &[String], is_passed_on: bool) {
        for tree in tokens.split(|token| is_punct(token, ',')) {
            let words = tree.iter().filter_map(|token| match token {
                TokenTree::Ident(word) => Some(word.to_string()),
                TokenTree::Punct(punct) if punct.as_char() == '*' => Some("*".to_owned()),
                _ => None,
            });
            let mut path: Vec<String> = before.iter().cloned().chain(words).collect();
            if let Some(TokenTree::Group(group)) = tree.last() {
                self.read_use(&group.stream().into_iter().collect::<Vec<_>>(), &path, is_passed_on);
                continue;
            }
            let renamed = path.iter().position(|word| word == "as").map(|at| path.split_off(at));
            if path.last().is_some_and(|word| word == "self" && path.len() > 1)
                || path.last().is_some_and(|word| word == "*")
            {
                let last = path.pop().unwrap();
                if last == "*" {
                    self.uses.push(Use { name: last, path, is_passed_on });
                    continue;
                }
            }
            if let Some(name) = renamed.and_then(|renamed| renamed.last().cloned()).or(path.last().cloned()) {
                self.uses.push(Use { name, path, is_passed_on });
            }
        }
    }
}

/// `a::b::c` at `at`, and where it ends.
fn path_at(tokens: &[TokenTree], mut at: usize) -> (Vec<String>, usize) {
    let mut path = Vec::new();
    while let Some(TokenTree::Ident(word)) = tokens.get(at) {
        path.push(word.to_string());
        match tokens.get(at + 1..at + 3) {
            Some([a, b]) if is_punct(a, ':') && is_punct(b, ':') => at += 3,
            _ => return (path, at + 1),
        }
    }
    (path, at)
}

fn is_punct(token: &TokenTree, wanted: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == wanted)
}

fn is_cfg_test(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Group(group)) if group.stream().to_string().replace(' ', "") == "cfg(test)")
}

/// Whether `pub` or `pub(…)` stands at the end.
fn is_visibility(tokens: &[TokenTree]) -> bool {
    let is_pub = |token: Option<&TokenTree>| matches!(token, Some(TokenTree::Ident(word)) if word == "pub");
    match tokens {
        [before @ .., TokenTree::Group(group)] if group.delimiter() == Delimiter::Parenthesis => is_pub(before.last()),
        _ => is_pub(tokens.last()),
    }
}

/// Behind the item that begins at `at`.
fn item_end(tokens: &[TokenTree], at: usize) -> usize {
    let is_end = |token: &TokenTree| {
        is_punct(token, ';') || matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
    };
    tokens[at..].iter().position(is_end).map_or(tokens.len(), |end| at + end + 1)
}

/// The library's files by their modules.
struct Modules(BTreeMap<Module, Source>);

impl Modules {
    fn used_by(&self, module: &Module) -> BTreeSet<String> {
        let source = &self.0[module];
        let imported = source.uses.iter().filter(|import| !import.is_passed_on).map(|import| &import.path);
        let homes = imported.chain(&source.paths).filter_map(|path| self.resolve(module, path, 0));
        homes.filter(|home| home != module).map(|home| self.0[&home].file.clone()).collect()
    }

    /// The module with the item that `path` names in `module`; `None` for another crate's, a module, a name of its own.
    fn resolve(&self, module: &Module, path: &[String], depth: usize) -> Option<Module> {
        let (first, rest) = path.split_first().filter(|_| depth < 16)?;
        match first.as_str() {
            "crate" => self.below(Vec::new(), rest, depth),
            "self" if !rest.is_empty() => self.below(module.clone(), rest, depth),
            "super" => self.below(module[..module.len().checked_sub(1)?].to_vec(), rest, depth),
            _ if self.0.contains_key(&child(module, first)) => self.below(module.clone(), path, depth),
            _ => self.imported(module, first, rest, depth),
        }
    }

    fn imported(&self, module: &Module, name: &str, rest: &[String], depth: usize) -> Option<Module> {
        let import = self.0[module].uses.iter().find(|import| import.name == *name && !import.path.is_empty())?;
        // `use image::error` does not lead through itself
        let path: Vec<String> = import.path.iter().chain(rest).cloned().collect();
        if import.path[0] == name && !self.0.contains_key(&child(module, name)) {
            return None;
        }
        self.resolve(module, &path, depth + 1)
    }

    /// Where `path` leads from `module` downwards.
    fn below(&self, module: Module, path: &[String], depth: usize) -> Option<Module> {
        let (first, rest) = path.split_first()?;
        if first == "super" {
            return self.below(module[..module.len().checked_sub(1)?].to_vec(), rest, depth);
        }
        if self.0.contains_key(&child(&module, first)) {
            return self.below(child(&module, first), rest, depth);
        }
        match self.0[&module].uses.iter().any(|import| import.name == *first) {
            true => self.imported(&module, first, rest, depth),
            false => Some(module),
        }
    }
}

fn child(module: &Module, name: &str) -> Module {
    module.iter().cloned().chain([name.to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circles_are_found_through_what_a_parent_passes_on() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = Vec::new();
        for (name, text) in [
            ("lib.rs", "pub mod a; mod c;"),
            ("a/mod.rs", "mod x; mod y; pub use x::X; pub use y::{Y, y as other};"),
            ("a/x.rs", "use super::Y; pub struct X(Y); // crate::c::C"),
            (
                "a/y.rs",
                "pub struct Y; pub fn y() { let f = |x: super::X| x; } #[cfg(test)] mod tests { use crate::c::C; }",
            ),
            ("c.rs", "use crate::a::{self, X}; pub struct C(X); fn f() -> a::Y { \"crate::a::x\"; a::other() }"),
        ] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            files.push(path);
        }
        let arrows = arrows(folder.path(), &files);
        let of = |file: &str| arrows[file].iter().map(String::as_str).collect::<Vec<_>>();
        assert_eq!(of("a/mod.rs"), [""; 0]);
        assert_eq!(
            (of("a/x.rs"), of("a/y.rs"), of("c.rs")),
            (vec!["a/y.rs"], vec!["a/x.rs"], vec!["a/x.rs", "a/y.rs"])
        );
        assert_eq!(circles(&arrows), [["a/x.rs", "a/y.rs"].into()].into());
    }
}
