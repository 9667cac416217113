//! A stock kernel: the files of Debian's packages, which are never installed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rar_harness::process::Verbosity;
use rar_harness::setup::debian::{behind, unpacked};
use rar_harness::workspace::Workspace;

/// The package that stands for the newest kernel of the cloud flavour.
const NEWEST: &str = "linux-image-cloud-amd64";
/// What the names of kernel packages begin with.
const IMAGE: &str = "linux-image-";

/// Drivers of the machine's disk and network card, and those that show MSRs and CPUID to programs,
/// in the order in which they are loaded. A kernel may have some of them built in.
const DRIVERS: [&str; 11] = [
    "drivers/virtio/virtio_ring.ko",
    "drivers/virtio/virtio.ko",
    "drivers/virtio/virtio_pci_legacy_dev.ko",
    "drivers/virtio/virtio_pci_modern_dev.ko",
    "drivers/virtio/virtio_pci.ko",
    "drivers/block/virtio_blk.ko",
    "net/core/failover.ko",
    "drivers/net/net_failover.ko",
    "drivers/net/virtio_net.ko",
    "arch/x86/kernel/msr.ko",
    "arch/x86/kernel/cpuid.ko",
];

/// A kernel of Debian.
#[derive(Clone, Debug)]
pub struct StockKernel {
    /// What `uname -r` says.
    pub release: String,
    /// The compressed kernel.
    pub image: PathBuf,
    /// Modules of drivers, in the order in which they are loaded.
    pub drivers: Vec<PathBuf>,
}

/// Returns the folder in which packages are kept.
#[must_use]
pub fn cache(workspace: &Workspace) -> PathBuf {
    workspace.target.join("debian")
}

/// Returns what to try if this kernel (`debian:RELEASE`) dies in this QEMU on this model of CPU.
#[must_use]
pub fn hint(kernel: &str, qemu: &str, cpu: &str) -> Option<String> {
    let is_met = kernel.starts_with("debian:6.12.")
        && qemu.contains("version 7.2.")
        && !cpu.contains("cx16=off");
    is_met.then(|| {
        format!(
            "hint: Linux 6.12 may die in QEMU 7.2, with and without the shim (docs/vrar.md); use \
             --cpu {cpu},cx16=off"
        )
    })
}

/// Returns a kernel of Debian: the newest, or that with this release.
///
/// # Errors
///
/// The package cannot be had.
pub fn kernel(release: Option<&str>, cache: &Path, verbosity: Verbosity) -> Result<StockKernel> {
    let package = match release {
        Some(release) => format!("{IMAGE}{release}"),
        None => behind(NEWEST, IMAGE, verbosity)?,
    };
    found(&package, &unpacked(&package, cache, verbosity)?)
}

/// Returns Debian's static busybox.
///
/// # Errors
///
/// The package cannot be had.
pub fn busybox(cache: &Path, verbosity: Verbosity) -> Result<PathBuf> {
    let files = unpacked("busybox-static", cache, verbosity)?;
    let places = ["bin/busybox", "usr/bin/busybox"].map(|place| files.join(place));
    let mut places = places.into_iter();
    places
        .find(|place| place.is_file())
        .context("the package busybox-static has no busybox")
}

fn found(package: &str, files: &Path) -> Result<StockKernel> {
    let release = package.strip_prefix(IMAGE).unwrap_or(package).to_owned();
    let image = files.join(format!("boot/vmlinuz-{release}"));
    fs::metadata(&image).with_context(|| format!("the package {package} has no {image:?}"))?;
    let places = ["lib/modules", "usr/lib/modules"];
    let modules = places.map(|place| files.join(place).join(&release).join("kernel"));
    let drivers = DRIVERS.iter().filter_map(|driver| {
        let mut places = modules.iter().map(|place| place.join(driver));
        places.find(|path| path.is_file())
    });
    Ok(StockKernel {
        drivers: drivers.collect(),
        release,
        image,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_names_the_option_where_a_kernel_is_known_to_die() {
        let [old, new] = [
            "QEMU emulator version 7.2.22 (Debian)",
            "QEMU emulator version 10.0.2",
        ];
        let kernel = "debian:6.12.95+deb12-cloud-amd64";
        let text = hint(kernel, old, "max").unwrap();
        assert!(text.contains("--cpu max,cx16=off"), "{text}");
        assert_eq!(hint(kernel, old, "max,cx16=off"), None);
        assert_eq!(hint(kernel, new, "max"), None);
        assert_eq!(hint("debian:6.1.0-57-cloud-amd64", old, "max"), None);
    }

    #[test]
    fn files_of_a_package_are_found_and_built_in_drivers_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let boot = folder.path().join("boot");
        fs::create_dir(&boot).unwrap();
        assert!(found("linux-image-7.0", folder.path()).is_err());
        fs::write(boot.join("vmlinuz-7.0"), "").unwrap();
        let drivers = folder.path().join("usr/lib/modules/7.0/kernel/drivers/net");
        fs::create_dir_all(&drivers).unwrap();
        fs::write(drivers.join("virtio_net.ko"), "").unwrap();
        let kernel = found("linux-image-7.0", folder.path()).unwrap();
        assert_eq!(kernel.release, "7.0");
        assert_eq!(kernel.drivers, [drivers.join("virtio_net.ko")]);
    }
}
