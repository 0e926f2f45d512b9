//! Where the manager is and how results are printed: flags, environment, configuration files, defaults, in this order.
//!
//! # Files
//! The first that exists of `~/.vnctlrc`, `~/.vnctl.conf` and `/etc/openvnet/vnctl.conf` counts, as in the original.
//! Its lines are `key 'value'`, which the original's were; quotes may be left out, and an `=` may stand between.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::client::{Address, Origin};
use crate::error::Error;
use crate::grammar::Options;
use crate::output::Format;

/// What a run takes from the process it is in.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// The user's home folder.
    pub home: Option<PathBuf>,
    /// The folder of the machine's configuration: `/etc`.
    pub etc: PathBuf,
    /// `VNET_WEBAPI`: the manager's `host:port`.
    pub web_api: Option<String>,
}

impl Environment {
    /// That of this process.
    pub fn of_process() -> Self {
        let text = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
        Self { home: text("HOME").map(PathBuf::from), etc: "/etc".into(), web_api: text("VNET_WEBAPI") }
    }

    fn files(&self) -> impl Iterator<Item = PathBuf> {
        let home = self.home.iter().flat_map(|home| [home.join(".vnctlrc"), home.join(".vnctl.conf")]);
        home.chain(std::iter::once(self.etc.join("openvnet/vnctl.conf")))
    }
}

/// What a run goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) address: Address,
    pub(crate) output: Format,
}

impl Config {
    /// Puts flags, environment, the first file there is and the defaults together.
    ///
    /// # Errors
    /// A file cannot be read, or holds what cannot be understood.
    pub(crate) fn load(environment: &Environment, options: &Options) -> Result<Self, Error> {
        let file = File::first(environment)?;
        let output = options.output.or(file.output).unwrap_or(Format::Table);
        let from_options = options.url.as_deref().map(|url| (url, Origin::Flag));
        let given = from_options.or(environment.web_api.as_deref().map(|text| (text, Origin::Environment)));
        let (base, origin) = match given {
            Some((text, origin)) => (base(text, file.protocol())?, origin),
            None => file.base()?,
        };
        Ok(Self { address: Address { url: format!("{base}/api/{}", file.version()), origin }, output })
    }
}

/// `host:port`, with or without a protocol, as the beginning of an URL.
fn base(text: &str, protocol: &str) -> Result<String, Error> {
    let (protocol, rest) = text.split_once("://").unwrap_or((protocol, text));
    let rest = rest.trim_end_matches('/');
    if protocol != "http" {
        return Err(Error::Usage(format!("{text}: the Web API speaks http, not {protocol}")));
    }
    let odd = |c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '@');
    if rest.is_empty() || rest.contains(odd) {
        return Err(Error::Usage(format!("{text}: must be host:port or http://host:port")));
    }
    Ok(format!("http://{rest}"))
}

/// What a configuration file says.
#[derive(Debug, Default, PartialEq, Eq)]
struct File {
    path: Option<PathBuf>,
    protocol: Option<String>,
    host: Option<String>,
    port: Option<u16>,
    version: Option<String>,
    output: Option<Format>,
}

impl File {
    fn first(environment: &Environment) -> Result<Self, Error> {
        for path in environment.files() {
            match std::fs::read_to_string(&path) {
                Ok(text) => return Self::read(&text, path),
                Err(cause) if matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
                Err(source) => return Err(Error::File { name: path.display().to_string(), source }),
            }
        }
        Ok(Self::default())
    }

    fn read(text: &str, path: PathBuf) -> Result<Self, Error> {
        let mut file = Self::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                let place = || format!("{}: line {}", path.display(), index + 1);
                file.set(line).map_err(|reason| Error::Usage(format!("{}: {reason}", place())))?;
            }
        }
        Ok(Self { path: Some(path), ..file })
    }

    fn set(&mut self, line: &str) -> Result<(), String> {
        let (key, rest) = line.split_once(|c: char| c.is_whitespace() || c == '=').unwrap_or((line, ""));
        let rest = rest.trim_start();
        let value = unquoted(rest.strip_prefix('=').unwrap_or(rest).trim())?;
        match key {
            "webapi_protocol" => self.protocol = Some(value),
            "webapi_uri" => self.host = Some(value),
            "webapi_port" => {
                self.port = Some(value.parse().map_err(|_| format!("webapi_port: {value} is no port"))?);
            }
            "webapi_version" => self.version = Some(value),
            "output_format" => {
                self.output = Some(value.parse().map_err(|reason| format!("output_format: {reason}"))?)
            }
            _ => return Err(format!("{key} is no key: there are {}", KEYS.join(", "))),
        }
        Ok(())
    }

    fn protocol(&self) -> &str {
        self.protocol.as_deref().unwrap_or("http")
    }

    fn version(&self) -> &str {
        self.version.as_deref().unwrap_or("1.0")
    }

    fn base(&self) -> Result<(String, Origin), Error> {
        let host = self.host.as_deref().unwrap_or("127.0.0.1");
        let base = base(&format!("{host}:{}", self.port.unwrap_or(9090)), self.protocol())?;
        let named = self.host.is_some() || self.port.is_some();
        let file = self.path.as_deref().filter(|_| named).map(Path::display);
        Ok((base, file.map_or(Origin::Default, |file| Origin::File(file.to_string()))))
    }
}

/// The keys of configuration files.
const KEYS: [&str; 5] = ["webapi_protocol", "webapi_uri", "webapi_port", "webapi_version", "output_format"];

/// A value without the quotes around it and the comment behind it.
fn unquoted(text: &str) -> Result<String, String> {
    let Some(quote) = text.chars().next().filter(|first| matches!(first, '\'' | '"')) else {
        let value = text.split(" #").next().unwrap_or(text).trim();
        return if value.is_empty() { Err("the value is missing".to_owned()) } else { Ok(value.to_owned()) };
    };
    let inner = text.trim_start_matches(quote).split_once(quote);
    match inner {
        Some((value, rest)) if rest.trim().is_empty() || rest.trim().starts_with('#') => Ok(value.to_owned()),
        _ => Err(format!("{text}: the quotes do not match")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(files: &[(&str, &str)], web_api: Option<&str>, url: Option<&str>) -> Result<Config, Error> {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(folder.path().join("etc/openvnet")).expect("a folder");
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).expect("a file");
        }
        let environment = Environment {
            home: Some(folder.path().to_owned()),
            etc: folder.path().join("etc"),
            web_api: web_api.map(str::to_owned),
        };
        Config::load(&environment, &Options { url: url.map(str::to_owned), ..Options::default() })
    }

    fn url(files: &[(&str, &str)], web_api: Option<&str>, url: Option<&str>) -> String {
        load(files, web_api, url).expect("a configuration").address.url
    }

    #[test]
    fn flags_come_before_the_environment_before_the_first_file_before_defaults() {
        let (rc, conf) = ((".vnctlrc", "webapi_uri 'rc'"), (".vnctl.conf", "webapi_uri 'conf'"));
        let etc = ("etc/openvnet/vnctl.conf", "webapi_uri 'etc'\nwebapi_port 1");
        let all = [rc, conf, etc];
        assert_eq!(url(&all, Some("env:2"), Some("http://flag:3")), "http://flag:3/api/1.0");
        assert_eq!(url(&all, Some("env:2"), None), "http://env:2/api/1.0");
        assert_eq!(url(&all, None, None), "http://rc:9090/api/1.0");
        assert_eq!(url(&[conf, etc], None, None), "http://conf:9090/api/1.0");
        assert_eq!(url(&[etc], None, None), "http://etc:1/api/1.0");
        assert_eq!(url(&[], None, None), "http://127.0.0.1:9090/api/1.0");
    }

    #[test]
    fn the_environment_names_the_manager_and_files_still_say_the_rest() {
        let rc = (".vnctlrc", "webapi_version '2.0'\noutput_format 'yml'");
        let config = load(&[rc], Some("[::1]:9"), None).expect("a configuration");
        let address = Address { url: "http://[::1]:9/api/2.0".to_owned(), origin: Origin::Environment };
        assert_eq!(config, Config { address, output: Format::Yaml });
    }

    #[test]
    fn lines_are_read_with_and_without_quotes_and_equals_signs() {
        let check = |text: &str, host: Option<&str>| {
            let found = File::read(text, "f".into()).ok().and_then(|file| file.host);
            assert_eq!(found.as_deref(), host, "{text}");
        };
        check("webapi_uri 'a'", Some("a"));
        check("  webapi_uri \"a\" # here", Some("a"));
        check("webapi_uri a # here", Some("a"));
        check("webapi_uri = a", Some("a"));
        check("webapi_uri='a'", Some("a"));
        check("# webapi_uri a\n\nwebapi_uri b", Some("b"));
        check("webapi_uri 'a", None);
        check("webapi_uri", None);
        check("webapi_url a", None);
        check("webapi_uri a\nwebapi_port x", None);
        check("webapi_uri a\noutput_format xml", None);
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", "https://a:1", "a:1/api", "a b", "http://"] {
            assert!(load(&[], None, Some(text)).is_err(), "{text}");
        }
    }
}
