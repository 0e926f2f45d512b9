//! Inputs that broke something once: `crashes/<target>/<digest>.hex`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::hex;
use crate::target::Target;

/// Where they are kept.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/crashes");

/// Digits of the digest that make a name.
const NAME_BYTES: usize = 8;

/// Keeps an input, and says where.
///
/// # Errors
/// The file cannot be written.
pub fn save(target: &str, input: &[u8]) -> io::Result<PathBuf> {
    let folder = Path::new(FOLDER).join(target);
    fs::create_dir_all(&folder)?;
    let digest = hex::encode(Sha256::digest(input).get(..NAME_BYTES).unwrap_or_default());
    let path = folder.join(digest).with_extension("hex");
    fs::write(&path, hex::encode(input) + "\n")?;
    Ok(path)
}

/// The inputs kept for a target, with where they are.
///
/// # Errors
/// A file cannot be read, or is no hexadecimal text.
pub fn saved(target: &Target) -> io::Result<Vec<(PathBuf, Vec<u8>)>> {
    let entries = match fs::read_dir(Path::new(FOLDER).join(target.name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let read = |entry: io::Result<fs::DirEntry>| {
        let path = entry?.path();
        let input = hex::decode(&fs::read_to_string(&path)?);
        let input = input.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no hexadecimal text"))?;
        Ok((path, input))
    };
    entries.map(read).collect()
}
