//! Provides the oldest Rust toolchain that the library crates support, without installing anything.
//!
//! The toolchain of rustup is used if it is there. Otherwise Debian's packages are unpacked into
//! the target folder.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Error, Result, bail, ensure};
use rar_harness::cargo::call;
use rar_harness::exit_code::{Fault, Reason, reason_of};
use rar_harness::process::{Cmd, Verbosity, find_program, utf8};
use rar_harness::workspace::Workspace;

/// The names under which distributions package rustc, its standard library and cargo. Debian's
/// ordinary packages may be older or newer than the ones it has for browsers.
const PACKAGES: [[&str; 3]; 2] = [
    ["rustc-web", "libstd-rust-web-dev", "cargo-web"],
    ["rustc", "libstd-rust-dev", "cargo"],
];

/// Other architectures: Debian's name, and the target's.
const OTHERS: [(&str, &str); 3] = [
    ("arm64", "aarch64-unknown-linux-gnu"),
    ("i386", "i686-unknown-linux-gnu"),
    ("riscv64", "riscv64gc-unknown-linux-gnu"),
];

/// The only libraries kept of other architectures, so that a crate that needs std does not build
/// for them.
const CORE: [&str; 3] = [
    "libcore-",
    "libcompiler_builtins-",
    "librustc_std_workspace_core-",
];

/// A toolchain.
#[derive(Clone, Debug)]
pub(crate) struct OldRust {
    /// The folder with cargo and rustc.
    programs: PathBuf,
    /// Where the dynamic linker looks for libraries that this machine may lack.
    libraries: String,
    /// The targets besides the host.
    pub(crate) targets: Vec<String>,
}

impl OldRust {
    /// Returns `cargo SUBCOMMAND` of this toolchain.
    pub(crate) fn cargo(&self, root: &Path, target: &Path, subcommand: &str) -> Result<Cmd> {
        let program = |name| utf8(&self.programs.join(name)).map(ToOwned::to_owned);
        Ok(call(&program("cargo")?, root, target, subcommand)?
            .env("RUSTC", program("rustc")?)
            .env("RUSTDOC", program("rustdoc")?)
            .env("LD_LIBRARY_PATH", &*self.libraries))
    }

    /// Checks that both programs start and have this version.
    fn check(&self, version: &str, verbosity: Verbosity) -> Result<()> {
        for name in ["rustc", "cargo"] {
            let first = Cmd::new(utf8(&self.programs.join(name))?)
                .arg("--version")
                .env("LD_LIBRARY_PATH", &*self.libraries)
                .require(verbosity)?
                .stdout;
            ensure!(
                first.starts_with(&format!("{name} {version}.")),
                "{name} {version} is expected, got {:?}",
                first.trim()
            );
        }
        Ok(())
    }
}

/// Returns the toolchain of this version, e.g. `1.85`.
pub(crate) fn provide(
    workspace: &Workspace,
    version: &str,
    verbosity: Verbosity,
) -> Result<OldRust> {
    if let Some(found) = of_rustup(version, verbosity) {
        return Ok(found);
    }
    let folder = workspace.target.join("old-rust").join(version);
    if let Ok(found) = of_folder(&folder, version, verbosity) {
        return Ok(found);
    }
    unpack(&folder, version, verbosity)
        .and_then(|()| of_folder(&folder, version, verbosity))
        .map_err(|error| missing(version, error))
}

fn missing(version: &str, error: Error) -> Error {
    if reason_of(&error).ends_all() {
        return error;
    }
    let message = format!(
        "Rust {version} is missing; install it with\n    rustup toolchain install {version}\n\
         Debian's package could not be used instead: {error:#}"
    );
    Fault::new(Reason::Environment, message).into()
}

/// Returns the toolchain if rustup has it.
fn of_rustup(version: &str, verbosity: Verbosity) -> Option<OldRust> {
    let rustup = |args: &[&str]| {
        let captured = Cmd::new("rustup")
            .args(args.iter().copied())
            .capture(verbosity)
            .ok()?;
        captured.status.success().then_some(captured.stdout)
    };
    find_program("rustup")?;
    let all = rustup(&["toolchain", "list"])?;
    let name = all.split_whitespace().find(|name| {
        let rest = name.strip_prefix(version);
        rest.is_some_and(|rest| rest.starts_with(['.', '-']))
    })?;
    let cargo = rustup(&["which", "--toolchain", name, "cargo"])?;
    let targets = rustup(&["target", "list", "--toolchain", name, "--installed"])?;
    let found = OldRust {
        programs: Path::new(cargo.trim()).parent()?.to_owned(),
        libraries: String::new(),
        targets: targets
            .lines()
            .filter(|target| !name.ends_with(target))
            .map(ToOwned::to_owned)
            .collect(),
    };
    found.check(version, verbosity).ok()?;
    Some(found)
}

/// Returns the toolchain if it was unpacked into this folder.
fn of_folder(folder: &Path, version: &str, verbosity: Verbosity) -> Result<OldRust> {
    let targets = OTHERS.map(|(_, target)| target).into_iter();
    let libraries = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];
    let libraries = libraries.map(|path| folder.join(path).display().to_string());
    let found = OldRust {
        programs: folder.join("usr/bin"),
        libraries: libraries.join(":"),
        targets: targets
            .filter(|target| libraries_of(folder, target).is_dir())
            .map(ToOwned::to_owned)
            .collect(),
    };
    found.check(version, verbosity)?;
    Ok(found)
}

fn libraries_of(folder: &Path, target: &str) -> PathBuf {
    folder.join("usr/lib/rustlib").join(target).join("lib")
}

/// Unpacks Debian's packages into this folder, which appears whole or not at all.
fn unpack(folder: &Path, version: &str, verbosity: Verbosity) -> Result<()> {
    for program in ["apt-get", "apt-cache", "dpkg"] {
        ensure!(
            find_program(program).is_some(),
            "this machine has no {program}"
        );
    }
    let host = Cmd::new("dpkg")
        .arg("--print-architecture")
        .require(verbosity)?
        .stdout;
    ensure!(
        host.trim() == "amd64",
        "this machine is not amd64 but {}",
        host.trim()
    );
    let above = folder.parent().context("the toolchain has no folder")?;
    fs::create_dir_all(above).with_context(|| format!("cannot make {}", above.display()))?;
    let work = tempfile::tempdir_in(above).context("cannot make a folder for packages")?;
    let apt = Apt::new(work.path())?;
    // One index that a mirror lacks does not matter if the packages are found.
    apt.get().arg("update").capture(verbosity)?;
    let mut packages = apt.packages(version, verbosity)?;
    for (architecture, _) in OTHERS {
        let [_, library, _] = &packages.names;
        let foreign = format!("{library}:{architecture}");
        if let Some(version) = apt.version(&foreign, version, verbosity)? {
            packages.all.push(format!("{foreign}={version}"));
        }
    }
    let downloaded = work.path().join("packages");
    let unpacked = work.path().join("unpacked");
    fs::create_dir(&downloaded).context("cannot make a folder for packages")?;
    apt.get()
        .arg("download")
        .args(packages.all)
        .dir(&downloaded)
        .require(verbosity)?;
    for entry in downloaded.read_dir().context("cannot list the packages")? {
        let package = entry.context("cannot list the packages")?.path();
        let name = package.display().to_string();
        let other = OTHERS
            .iter()
            .find(|(architecture, _)| name.ends_with(&format!("_{architecture}.deb")));
        match other {
            None => extract(&package, &unpacked, verbosity)?,
            Some((architecture, target)) => {
                let aside = work.path().join(architecture);
                extract(&package, &aside, verbosity)?;
                keep_core(
                    &libraries_of(&aside, target),
                    &libraries_of(&unpacked, target),
                )?;
            }
        }
    }
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::rename(&unpacked, folder).with_context(|| format!("cannot make {}", folder.display()))
}

fn extract(package: &Path, folder: &Path, verbosity: Verbosity) -> Result<()> {
    Cmd::new("dpkg")
        .args(["-x", utf8(package)?, utf8(folder)?])
        .require(verbosity)?;
    Ok(())
}

fn keep_core(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    let entries = from
        .read_dir()
        .with_context(|| format!("cannot list {}", from.display()))?;
    for entry in entries.flatten() {
        let name = entry.file_name();
        if CORE
            .iter()
            .any(|core| name.to_string_lossy().starts_with(core))
        {
            fs::rename(entry.path(), to.join(&name))
                .with_context(|| format!("cannot move {}", entry.path().display()))?;
        }
    }
    Ok(())
}

/// apt with lists of its own: it reads the machine's sources, and changes nothing outside its
/// folder.
struct Apt {
    config: String,
}

/// The packages of a toolchain.
struct Packages {
    /// Those of rustc, its library and cargo.
    names: [&'static str; 3],
    /// All that this machine lacks, as `NAME=VERSION`.
    all: Vec<String>,
}

impl Apt {
    fn new(folder: &Path) -> Result<Self> {
        let state = folder.join("apt");
        for path in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(state.join(path)).context("cannot make the folders of apt")?;
        }
        let others = OTHERS.map(|(architecture, _)| format!("\"{architecture}\"; "));
        let config = format!(
            "#clear APT::Architectures;\n\
             APT::Architectures {{ \"amd64\"; {others}}};\n\
             #clear APT::Update::Pre-Invoke;\n\
             #clear APT::Update::Post-Invoke;\n\
             #clear APT::Update::Post-Invoke-Success;\n\
             APT::Sandbox::User \"root\";\n\
             Acquire::Languages \"none\";\n\
             Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n\
             Debug::NoLocking \"true\";\n\
             Dir::State::lists \"{state}/lists\";\n\
             Dir::Cache \"{state}/cache\";\n",
            others = others.concat(),
            state = utf8(&state)?,
        );
        let path = folder.join("apt.conf");
        fs::write(&path, config).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self {
            config: utf8(&path)?.to_owned(),
        })
    }

    fn get(&self) -> Cmd {
        Cmd::new("apt-get").args(["-q", "-c", self.config.as_str()])
    }

    /// Returns the package's version that belongs to this version of Rust, if there is one.
    fn version(&self, package: &str, rust: &str, verbosity: Verbosity) -> Result<Option<String>> {
        let known = Cmd::new("apt-cache")
            .args(["-c", &*self.config, "madison", package])
            .capture(verbosity)?
            .stdout;
        Ok(version_of(&known, rust))
    }

    /// Returns the packages of this version of Rust.
    fn packages(&self, rust: &str, verbosity: Verbosity) -> Result<Packages> {
        for names in PACKAGES {
            let mut all = Vec::new();
            for name in names {
                let version = self.version(name, rust, verbosity)?;
                all.extend(version.map(|version| format!("{name}={version}")));
            }
            if all.len() < names.len() {
                continue;
            }
            let plan = self
                .get()
                .args(["-s", "-y", "--no-install-recommends", "install"])
                .args(all.clone())
                .require(verbosity)?
                .stdout;
            all.extend(lacking(&plan).filter(|found| {
                let (name, _) = found.split_once('=').unwrap_or_default();
                !names.contains(&name)
            }));
            return Ok(Packages { names, all });
        }
        let names: Vec<_> = PACKAGES.iter().filter_map(|names| names.first()).collect();
        bail!("no configured source has version {rust} of any of {names:?}")
    }
}

/// Returns the version that belongs to this version of Rust in what `apt-cache madison` printed.
fn version_of(known: &str, rust: &str) -> Option<String> {
    known
        .lines()
        .filter_map(|line| line.split('|').nth(1))
        .map(str::trim)
        .find(|version| {
            let rest = version.strip_prefix(rust);
            rest.is_some_and(|rest| rest.starts_with('.'))
        })
        .map(ToOwned::to_owned)
}

/// Returns what `apt-get --simulate install` would install, as `NAME=VERSION`.
fn lacking(plan: &str) -> impl Iterator<Item = String> {
    plan.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("Inst ")?.split_once(' ')?;
        let (_, version) = rest.split_once('(')?;
        Some(format!("{name}={}", version.split_whitespace().next()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_a_package_is_chosen_by_rusts() {
        let known = "\
 rustc-web | 1.96.0+dfsg1-1~deb12u2 | http://m/debian bookworm-security/main amd64 Packages
 rustc-web | 1.85.0+dfsg3-1~deb12u3 | http://m/debian bookworm/main amd64 Packages
 rustc-web | 1.8.0-1 | http://m/debian bookworm/main amd64 Packages\n";
        assert_eq!(
            version_of(known, "1.85").as_deref(),
            Some("1.85.0+dfsg3-1~deb12u3")
        );
        assert_eq!(version_of(known, "1.8").as_deref(), Some("1.8.0-1"));
        assert_eq!(version_of(known, "1.63"), None);
    }

    #[test]
    fn what_is_lacking_is_read_from_a_simulation() {
        let plan = "\
The following NEW packages will be installed:
  libllvm19 rustc-web
Inst libllvm19 (1:19.1.7-3~deb12u1 Debian:12.15/oldstable [amd64])
Inst zlib1g [1:1.2] (1:1.3 Debian:12.15/oldstable [amd64])
Conf libllvm19 (1:19.1.7-3~deb12u1 Debian:12.15/oldstable [amd64])\n";
        assert_eq!(
            lacking(plan).collect::<Vec<_>>(),
            ["libllvm19=1:19.1.7-3~deb12u1", "zlib1g=1:1.3"]
        );
    }

    #[test]
    fn a_missing_toolchain_is_no_failure_of_the_crates() {
        let error = missing("1.85", Error::msg("no apt-get"));
        assert_eq!(reason_of(&error), Reason::Environment);
        let text = error.to_string();
        assert!(
            text.contains("rustup toolchain install 1.85") && text.contains("no apt-get"),
            "{text}"
        );
        let stopped = Fault::new(Reason::Interrupted, "Ctrl-C").into();
        assert_eq!(reason_of(&missing("1.85", stopped)), Reason::Interrupted);
    }
}
