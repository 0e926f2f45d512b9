//! Holds every dependency against `deny.toml`: its licence and where it comes from.
//!
//! `cargo-deny` does this and looks for advisories too. It takes minutes to build, so where it is not installed the two
//! questions that a pull request can get wrong are answered here, from the same file.

use std::fs;

use anyhow::{Context, bail};
use serde::Deserialize;
use spdx::{Expression, Licensee, ParseMode};

use crate::run::{cargo, root, run};

/// The one place that dependencies come from, as `cargo metadata` names it.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

#[derive(Deserialize)]
struct Policy {
    licenses: Licenses,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    /// `None` for a package of this workspace.
    source: Option<String>,
}

/// Checks all dependencies.
pub(crate) fn check() -> anyhow::Result<()> {
    if cargo(["deny", "--version"]).output().is_ok_and(|output| output.status.success()) {
        return run(cargo(["deny", "check"]));
    }
    eprintln!(
        "> licences and sources against deny.toml (cargo-deny is not installed: no look at advisories)"
    );
    let policy = fs::read_to_string(root().join("deny.toml")).context("cannot read deny.toml")?;
    let policy: Policy = toml::from_str(&policy).context("cannot understand deny.toml")?;
    let allowed = allowed(&policy.licenses.allow)?;
    let packages = packages()?;
    let complaints: Vec<_> = packages.iter().filter_map(|it| complaint(it, &allowed)).collect();
    if !complaints.is_empty() {
        bail!("not allowed by deny.toml:\n{}", complaints.join("\n"));
    }
    eprintln!("{} packages are allowed", packages.len());
    Ok(())
}

fn allowed(names: &[String]) -> anyhow::Result<Vec<Licensee>> {
    let licence =
        |name: &String| Licensee::parse(name).with_context(|| format!("deny.toml: `{name}` is no licence"));
    names.iter().map(licence).collect()
}

fn packages() -> anyhow::Result<Vec<Package>> {
    let targets =
        ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"].map(|it| ["--filter-platform", it]);
    let output = cargo(["metadata", "--format-version=1"].into_iter().chain(targets.into_iter().flatten()))
        .output()?;
    if !output.status.success() {
        bail!("cargo metadata failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: Metadata =
        serde_json::from_slice(&output.stdout).context("cannot understand cargo metadata")?;
    Ok(metadata.packages)
}

/// What is wrong with a package, if anything.
fn complaint(package: &Package, allowed: &[Licensee]) -> Option<String> {
    let Package { name, version, license, source } = package;
    let source = source.as_deref()?;
    if source != REGISTRY {
        return Some(format!("{name} {version} comes from {source}"));
    }
    let license = license.as_deref().unwrap_or("no licence");
    (!is_allowed(license, allowed)).then(|| format!("{name} {version}: {license}"))
}

/// Whether an SPDX expression can be met with allowed licences alone. Old packages write `/` for `OR`, hence lax.
fn is_allowed(license: &str, allowed: &[Licensee]) -> bool {
    let expression = Expression::parse_mode(license, ParseMode::LAX);
    expression.is_ok_and(|it| {
        it.evaluate(|requirement| allowed.iter().any(|licence| licence.satisfies(requirement)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(license: &str, expected: bool) {
        let names = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "MPL-2.0"].map(str::to_owned);
        let allowed = allowed(&names).expect("names of licences");
        assert_eq!(is_allowed(license, &allowed), expected, "{license}");
    }

    #[test]
    fn an_expression_is_met_by_allowed_licences_alone() {
        check("MIT", true);
        check("GPL-3.0-only", false);
        check("MIT OR GPL-3.0-only", true);
        check("MIT AND GPL-3.0-only", false);
        check("(MIT OR GPL-2.0-only) AND Apache-2.0", true);
        check("MIT/Apache-2.0", true);
        check("Apache-2.0 WITH LLVM-exception", true);
        check("MPL-2.0+", true);
        check("no licence", false);
    }
}
