//! Where the hub is and where its files are kept: flags first, then the variables that Python's huggingface_hub reads,
//! with its defaults. Nothing is ever written to the environment.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How to reach the hub and where its files are.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// The hub's address, without a slash at its end.
    pub endpoint: String,
    /// The cache, in the layout of huggingface_hub.
    pub cache: PathBuf,
    /// Who asks. It is sent to the endpoint's host and to no other.
    pub token: Option<String>,
    /// Whether only the cache may be used.
    pub offline: bool,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// How long to wait for the next bytes.
    pub read_timeout: Duration,
}

const ENDPOINT: &str = "https://huggingface.co";
const TIMEOUT: Duration = Duration::from_secs(10);

impl Settings {
    /// From the process's environment; `cache` replaces what it says of the cache.
    pub fn from_env(cache: Option<&Path>) -> Self {
        Self::from_variables(cache, |name| std::env::var_os(name))
    }

    /// From any environment. An empty variable counts as not set.
    pub fn from_variables(cache: Option<&Path>, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let text = |name: &str| set(name).and_then(|value| Some(value.to_str()?.trim().to_owned()));
        let is_true = |name: &str| {
            text(name)
                .is_some_and(|value| ["1", "on", "yes", "true"].contains(&value.to_lowercase().as_str()))
        };
        let user = set("HOME").or_else(|| set("USERPROFILE")).map(PathBuf::from).unwrap_or_default();
        let path = |name: &str| {
            set(name).map(PathBuf::from).map(|path| match path.strip_prefix("~") {
                Ok(rest) => user.join(rest),
                Err(_) => path,
            })
        };
        let caches = path("XDG_CACHE_HOME").unwrap_or_else(|| user.join(".cache"));
        let home = path("HF_HOME").unwrap_or_else(|| caches.join("huggingface"));
        let token_file = path("HF_TOKEN_PATH").unwrap_or_else(|| home.join("token"));
        let token = text("HF_TOKEN").or_else(|| text("HUGGING_FACE_HUB_TOKEN")).or_else(|| {
            let kept = fs::read_to_string(token_file).ok()?;
            Some(kept.trim().to_owned())
        });
        let token = token.filter(|token| !token.is_empty() && !is_true("HF_HUB_DISABLE_IMPLICIT_TOKEN"));
        let seconds = |name: &str| match text(name).and_then(|value| value.parse::<u64>().ok()) {
            Some(seconds) if seconds > 0 => Duration::from_secs(seconds),
            _ => TIMEOUT,
        };
        let endpoint = text("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.into());
        Self {
            endpoint: endpoint.trim_end_matches('/').into(),
            cache: cache
                .map(Path::to_path_buf)
                .or_else(|| path("HF_HUB_CACHE"))
                .or_else(|| path("HUGGINGFACE_HUB_CACHE"))
                .unwrap_or_else(|| home.join("hub")),
            token,
            offline: is_true("HF_HUB_OFFLINE") || is_true("TRANSFORMERS_OFFLINE"),
            connect_timeout: seconds("HF_HUB_ETAG_TIMEOUT"),
            read_timeout: seconds("HF_HUB_DOWNLOAD_TIMEOUT"),
        }
    }
}

/// A token is not for logs.
impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("endpoint", &self.endpoint)
            .field("cache", &self.cache)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("offline", &self.offline)
            .finish_non_exhaustive()
    }
}
