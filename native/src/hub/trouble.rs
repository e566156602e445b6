//! What can go wrong between here and the hub, in words that say what to do.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::Path;

use hf_hub::HFError;

use super::names::HubName;
use super::settings::Settings;

/// A model could not be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What kind of thing went wrong.
    pub kind: Kind,
    /// What went wrong, and the remedy.
    pub words: String,
}

/// Kinds of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The hub can't be reached, or can't answer now.
    Unreachable,
    /// The hub does not let this user read the model.
    Denied,
    /// There is no such model, revision or file.
    Missing,
    /// It is not in the cache, and nothing may be fetched.
    NotCached,
    /// It is not a Whisper that can be used.
    Unusable,
    /// What came is not what was announced.
    Damaged,
    /// This machine's disk says no.
    Disk,
    /// Another file of the model could not be had.
    GivenUp,
}

impl Trouble {
    /// Trouble in these words.
    pub fn new(kind: Kind, words: impl Into<String>) -> Self {
        Self { kind, words: words.into() }
    }

    /// The same, said of the model it is about.
    pub fn about(self, name: &HubName) -> Self {
        Self { words: format!("could not fetch `{name}`: {}", self.words), ..self }
    }

    /// Trouble with a file on this machine.
    pub fn disk(error: &io::Error, path: &Path) -> Self {
        let folder = path.parent().unwrap_or(path).display();
        let path = path.display();
        Self::new(
            Kind::Disk,
            match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => format!(
                    "the disk is full: `{path}` could not be written; free some space and run it again to go on \
                     where it stopped, or name a folder on another disk with `--cache_dir`"
                ),
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => format!(
                    "`{path}` can't be written ({error}); make `{folder}` writable, or name another folder with \
                     `--cache_dir` or HF_HUB_CACHE"
                ),
                _ => format!("could not write `{path}`: {error}"),
            },
        )
    }

    /// No answer came from `host`.
    pub fn transport(error: &dyn Error, host: &str) -> Self {
        // The first says no more than that a request failed, and names an address.
        let causes = causes(error.source().unwrap_or(error));
        let lower = causes.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        let proxy = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"]
            .into_iter()
            .find(|name| std::env::var_os(name).or_else(|| std::env::var_os(name.to_lowercase())).is_some());
        let remedy = if has(&["no ca certificates"]) {
            "no certificates of authorities are installed here; install the package `ca-certificates`, or name a file \
             of them in SSL_CERT_FILE"
                .to_owned()
        } else if has(&["certificate", "unknownissuer"]) {
            "its certificate is not trusted here; if a proxy of your network signs with its own, add that to the \
             system's certificates or name its file in SSL_CERT_FILE"
                .to_owned()
        } else if let Some(proxy) = proxy {
            format!("check the network, and the proxy that {proxy} names")
        } else {
            "check the network, or name a proxy in HTTPS_PROXY if one is needed; a model already fetched works with \
             HF_HUB_OFFLINE=1"
                .to_owned()
        };
        Self::new(Kind::Unreachable, format!("no connection to {host} ({causes}): {remedy}"))
    }

    /// The hub answered `status`; `code` and `message` are its own words.
    pub fn refused(answer: &Answer<'_>, name: &HubName, settings: &Settings) -> Self {
        let repo = name.repo();
        let endpoint = &settings.endpoint;
        let has_token = settings.token.is_some();
        let said = answer.message.filter(|words| !words.is_empty());
        let said = said.map_or_else(String::new, |words| format!(" ({})", words.trim()));
        match (answer.status, answer.code) {
            (401 | 403, Some("GatedRepo")) => {
                let token = match has_token {
                    true => "with the account whose token is used",
                    false => "then set HF_TOKEN to a token of that account, or run `hf auth login`",
                };
                Self::new(
                    Kind::Denied,
                    format!("access to it is restricted: accept its terms at {endpoint}/{repo}, {token}"),
                )
            }
            (404, Some("RevisionNotFound")) => Self::new(
                Kind::Missing,
                format!("it has no revision `{}`; {endpoint}/{repo}/commits/main shows them", name.revision),
            ),
            (404, Some("EntryNotFound")) => Self::new(
                Kind::Missing,
                format!(
                    "the hub lists a file that it does not have{said}; try again, or another `@revision`"
                ),
            ),
            (401, _) if has_token => Self::new(
                Kind::Denied,
                format!(
                    "{endpoint} has no such model that the token used may read{said}; check the spelling, and the \
                     token in HF_TOKEN or the token file"
                ),
            ),
            (401 | 404, _) => Self::new(
                Kind::Missing,
                format!(
                    "{endpoint} has no such model, or it is private{said}; check the spelling (`candle-whisper models \
                     list` shows names), and for a private one set HF_TOKEN or run `hf auth login`"
                ),
            ),
            (403, _) => Self::new(
                Kind::Denied,
                format!("{endpoint} refuses it{said}; check that the token in HF_TOKEN may read this model"),
            ),
            (407, _) => Self::new(
                Kind::Unreachable,
                "the proxy wants a name and a password; give them in HTTPS_PROXY as http://NAME:PASSWORD@HOST:PORT",
            ),
            (429, _) => Self::new(
                Kind::Unreachable,
                format!(
                    "{endpoint} is asked too often from here; wait some minutes, or set HF_TOKEN, which allows more"
                ),
            ),
            (status, _) if status >= 500 => Self::new(
                Kind::Unreachable,
                format!("{endpoint} answers {status}{said}: it has trouble of its own; try again later"),
            ),
            (status, _) => Self::new(
                Kind::Unreachable,
                format!("{endpoint} answers {status}{said}; check HF_ENDPOINT and any proxy between"),
            ),
        }
    }

    /// What hf-hub complains of.
    pub fn hf(error: HFError, name: &HubName, settings: &Settings) -> Self {
        match error {
            HFError::AuthRequired { context }
            | HFError::Forbidden { context }
            | HFError::Http { context }
            | HFError::Conflict { context }
            | HFError::RateLimited { context, .. }
            | HFError::RepoNotFound { context: Some(context), .. }
            | HFError::RevisionNotFound { context: Some(context), .. }
            | HFError::EntryNotFound { context: Some(context), .. } => {
                let answer = Answer {
                    status: context.status.as_u16(),
                    code: context.error_code.as_deref(),
                    message: context.server_message.as_deref(),
                };
                Self::refused(&answer, name, settings)
            }
            HFError::Request { source, .. } if source.is_decode() => not_a_hub(&source, settings),
            HFError::Request { source, .. } => Self::transport(&source, &settings.endpoint),
            error @ (HFError::Json(_) | HFError::MalformedResponse { .. }) => not_a_hub(&error, settings),
            HFError::Url(error) => bad_endpoint(&error.to_string(), settings),
            HFError::Io(error) => Self::disk(&error, &settings.cache),
            error => Self::new(Kind::Unreachable, causes(&error)),
        }
    }
}

/// An answer that is not what was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// `X-Error-Code`.
    pub code: Option<&'a str>,
    /// `X-Error-Message`.
    pub message: Option<&'a str>,
}

fn not_a_hub(error: &dyn Error, settings: &Settings) -> Trouble {
    let words = format!(
        "{} does not answer as a hub does ({}); check HF_ENDPOINT and any proxy or login page between",
        settings.endpoint,
        causes(error)
    );
    Trouble::new(Kind::Unreachable, words)
}

/// HF_ENDPOINT can't be used.
pub fn bad_endpoint(why: &str, settings: &Settings) -> Trouble {
    let words = format!("HF_ENDPOINT is `{}`, which is no address ({why})", settings.endpoint);
    Trouble::new(Kind::Unreachable, words)
}

/// The error and what is behind it, each said once.
fn causes(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_words = cause.to_string();
        if !words.contains(&cause_words) {
            words = format!("{words}: {cause_words}");
        }
        source = cause.source();
    }
    words
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl Error for Trouble {}
