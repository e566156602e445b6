//! What is asked of the hub. Names and commits go through hf-hub; for files its requests are made here, because they must
//! begin where an earlier download stopped and show what became of them.

use std::thread;
use std::time::Duration;

use hf_hub::{HFClient, HFClientSync, HFResult};
use reqwest::blocking::{Client, RequestBuilder, Response};
use reqwest::header::{ACCEPT_ENCODING, CONTENT_LENGTH, ETAG, HeaderMap, LOCATION, RANGE};
use reqwest::redirect::Policy;
use reqwest::{Method, Url};

use super::names::{HubName, is_commit};
use super::settings::Settings;
use super::trouble::{Answer, Kind, Trouble, bad_endpoint};

const AGENT: &str = concat!("candle-whisper/", env!("CARGO_PKG_VERSION"));
const MOST_REDIRECTS: usize = 10;

/// One repository on the hub.
pub struct Remote<'a> {
    name: &'a HubName,
    settings: &'a Settings,
    endpoint: Url,
    client: Client,
}

/// What a revision is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The commit.
    pub commit: String,
    /// The names of its files.
    pub files: Vec<String>,
}

/// What the hub says of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// The file's name.
    pub file: String,
    /// Its commit.
    pub commit: String,
    /// What its blob is called.
    pub etag: String,
    /// Its length in bytes, if the hub says.
    pub size: Option<u64>,
}

impl<'a> Remote<'a> {
    /// The repository `name`; nothing is asked yet.
    pub fn new(name: &'a HubName, settings: &'a Settings) -> Result<Self, Trouble> {
        let endpoint =
            Url::parse(&settings.endpoint).map_err(|error| bad_endpoint(&error.to_string(), settings))?;
        if endpoint.host_str().is_none() {
            return Err(bad_endpoint("it has no host", settings));
        }
        let client = Client::builder()
            .user_agent(AGENT)
            .redirect(Policy::none())
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.read_timeout);
        let client = client.build().map_err(|error| Trouble::transport(&error, &settings.endpoint))?;
        Ok(Self { name, settings, endpoint, client })
    }

    /// Asks which commit the revision is, and which files it has.
    pub fn listing(&self) -> Result<Listing, Trouble> {
        let info = || {
            let client = client(self.settings)?;
            let model = client.model(&self.name.owner, &self.name.name);
            model.info().revision(&self.name.revision).send()
        };
        let info = info().map_err(|error| Trouble::hf(error, self.name, self.settings))?;
        let commit = info.sha.filter(|commit| is_commit(commit)).ok_or_else(|| {
            let words = format!("{} names no commit; check HF_ENDPOINT", self.settings.endpoint);
            Trouble::new(Kind::Unreachable, words)
        })?;
        let files = info.siblings.unwrap_or_default().into_iter().map(|sibling| sibling.rfilename).collect();
        Ok(Listing { commit, files })
    }

    /// Asks for a file's hash and length.
    pub fn meta(&self, commit: &str, file: &str) -> Result<Meta, Trouble> {
        let answer = patiently(|| self.ask(&Method::HEAD, commit, file, 0))?;
        let headers = answer.headers();
        let etag = text(headers, "x-linked-etag").or_else(|| text(headers, ETAG.as_str()));
        let etag = etag.map(|etag| etag.trim_start_matches("W/").trim_matches('"').to_owned());
        // It becomes the name of a file.
        let good = |etag: &String| {
            !etag.is_empty() && etag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        let etag = etag.filter(good).ok_or_else(|| {
            let words =
                format!("{} gives no usable ETag for `{file}`; check HF_ENDPOINT", self.settings.endpoint);
            Trouble::new(Kind::Unreachable, words)
        })?;
        let size = text(headers, "x-linked-size").or_else(|| text(headers, CONTENT_LENGTH.as_str()));
        let size = size.and_then(|size| size.parse().ok());
        Ok(Meta { file: file.into(), commit: commit.into(), etag, size })
    }

    /// Asks for a file's bytes from `from` on; the answer may begin at its start all the same.
    pub fn bytes(&self, meta: &Meta, from: u64) -> Result<Response, Trouble> {
        self.ask(&Method::GET, &meta.commit, &meta.file, from)
    }

    /// The hub's address, for words.
    pub fn endpoint(&self) -> &str {
        &self.settings.endpoint
    }

    fn ask(&self, method: &Method, commit: &str, file: &str, from: u64) -> Result<Response, Trouble> {
        let url = format!("{}/{}/resolve/{commit}/{file}", self.settings.endpoint, self.name.repo());
        let mut url = Url::parse(&url).map_err(|error| bad_endpoint(&error.to_string(), self.settings))?;
        for _ in 0..MOST_REDIRECTS {
            let host = format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default());
            let sent = self.request(method, &url, from).send();
            let answer = sent.map_err(|error| Trouble::transport(&error, &host))?;
            let status = answer.status();
            if !status.is_redirection() {
                if status.is_success() || status.as_u16() == 416 {
                    return Ok(answer);
                }
                let headers = answer.headers();
                let (code, message) = (text(headers, "x-error-code"), text(headers, "x-error-message"));
                let answer = Answer { status: status.as_u16(), code, message };
                return Err(Trouble::refused(&answer, self.name, self.settings));
            }
            // Where large files are kept knows nothing of hashes; the hub's own answer does.
            if *method == Method::HEAD && answer.headers().contains_key("x-linked-etag") {
                return Ok(answer);
            }
            let next = text(answer.headers(), LOCATION.as_str()).and_then(|to| url.join(to).ok());
            url = next.ok_or_else(|| {
                Trouble::new(
                    Kind::Unreachable,
                    format!("{host} sends elsewhere without saying where; try again later"),
                )
            })?;
        }
        let words =
            format!("{} sends from one address to the next without end; check HF_ENDPOINT", self.endpoint());
        Err(Trouble::new(Kind::Unreachable, words))
    }

    fn request(&self, method: &Method, url: &Url, from: u64) -> RequestBuilder {
        let mut request =
            self.client.request(method.clone(), url.clone()).header(ACCEPT_ENCODING, "identity");
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        match &self.settings.token {
            Some(token) if url.origin() == self.endpoint.origin() => request.bearer_auth(token),
            _ => request,
        }
    }
}

/// hf-hub's client, set up as everything else.
fn client(settings: &Settings) -> HFResult<HFClientSync> {
    let http = reqwest::Client::builder()
        .user_agent(AGENT)
        .connect_timeout(settings.connect_timeout)
        .read_timeout(settings.read_timeout)
        .build()?;
    let builder = HFClient::builder()
        .client(http)
        .endpoint(&settings.endpoint)
        .cache_enabled(false)
        .retry_max_attempts(DELAYS.len())
        .retry_base_delay(DELAYS[0] / 2);
    match &settings.token {
        Some(token) => builder.token(token),
        None => builder,
    }
    .build_sync()
}

/// How long to wait before each further try.
pub const DELAYS: [Duration; 4] = [
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1600),
];

/// Tries again while the hub can't be reached.
fn patiently<T>(attempt: impl Fn() -> Result<T, Trouble>) -> Result<T, Trouble> {
    for delay in DELAYS {
        match attempt() {
            Err(trouble) if trouble.kind == Kind::Unreachable => thread::sleep(delay),
            done => return done,
        }
    }
    attempt()
}

/// A header's text.
pub fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
