//! A hub on this machine: it speaks the protocol of huggingface.co as far as a download needs it, large files lie on a
//! second port as they lie on other hosts there, and it can be told to fail.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::json;
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// What goes wrong.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// An error with this status and `X-Error-Code`.
    Status(u16, &'static str),
    /// The connection is cut after so many bytes of the body.
    Cut(usize),
    /// One bit of the body is another.
    Tamper,
    /// The file is so many bytes shorter, and the answer says so.
    Short(usize),
    /// Ranges are not understood: the whole file comes.
    NoRange,
    /// After half of the body nothing more comes for this long.
    Stall(Duration),
    /// The body comes in pieces with a pause after each.
    Slow(Duration),
    /// The answer is somewhere else, at this path.
    Moved(&'static str),
    /// Something else than a hub answers, such as the page of a network's login.
    Page,
}

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// `HEAD /path`
    pub line: String,
    /// The first byte asked for.
    pub from: Option<u64>,
    /// Whether it came with a token.
    pub token: Option<String>,
    /// Whether it came to where large files lie.
    pub storage: bool,
}

pub struct File {
    pub name: String,
    pub bytes: Vec<u8>,
    /// Large files lie elsewhere and are named after their SHA-256.
    pub large: bool,
}

pub struct Repo {
    pub id: String,
    pub commit: String,
    pub files: Vec<File>,
}

#[derive(Default)]
struct State {
    repos: Vec<Repo>,
    faults: Vec<(String, Fault, usize)>,
    seen: Vec<Seen>,
}

/// The hub; its threads end with the process.
pub struct Hub {
    pub url: String,
    state: Arc<Mutex<State>>,
}

impl Hub {
    pub fn new(repos: Vec<Repo>) -> Self {
        let state = Arc::new(Mutex::new(State { repos, ..State::default() }));
        let front = TcpListener::bind("127.0.0.1:0").unwrap();
        let storage = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", front.local_addr().unwrap());
        let storage_url = format!("http://{}", storage.local_addr().unwrap());
        for (listener, is_storage) in [(front, false), (storage, true)] {
            let (state, storage_url) = (Arc::clone(&state), storage_url.clone());
            thread::spawn(move || {
                for stream in listener.incoming() {
                    let (state, storage_url) = (Arc::clone(&state), storage_url.clone());
                    // A client that goes away is none of our business.
                    thread::spawn(move || drop(serve(stream.unwrap(), &state, &storage_url, is_storage)));
                }
            });
        }
        Self { url, state }
    }

    /// Requests whose line contains `at` fail so, the next `times` times.
    pub fn fail(&self, at: &str, fault: Fault, times: usize) {
        self.state.lock().unwrap().faults.push((at.into(), fault, times));
    }

    pub fn heal(&self) {
        self.state.lock().unwrap().faults.clear();
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.state.lock().unwrap().seen.clone()
    }

    pub fn forget(&self) {
        self.state.lock().unwrap().seen.clear();
    }

    /// How many requests have a line that contains `part`.
    pub fn count(&self, part: &str) -> usize {
        self.seen().iter().filter(|seen| seen.line.contains(part)).count()
    }

    /// A new commit, with other files.
    pub fn push(&self, id: &str, commit: &str, files: Vec<File>) {
        let mut state = self.state.lock().unwrap();
        let repo = state.repos.iter_mut().find(|repo| repo.id == id).unwrap();
        (repo.commit, repo.files) = (commit.into(), files);
    }
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl File {
    /// What the hub calls the file.
    pub fn etag(&self) -> String {
        match self.large {
            true => hex(&Sha256::digest(&self.bytes)),
            false => {
                let mut hasher = Sha1::new_with_prefix(format!("blob {}\0", self.bytes.len()));
                hasher.update(&self.bytes);
                hex(&hasher.finalize())
            }
        }
    }
}

struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

fn answer(status: u16, headers: Vec<(&'static str, String)>, body: Vec<u8>) -> Answer {
    Answer { status, headers, body }
}

fn error(status: u16, code: &str) -> Answer {
    let message = format!("the hub's words for {code}");
    answer(status, vec![("X-Error-Code", code.into()), ("X-Error-Message", message)], Vec::new())
}

fn serve(
    stream: TcpStream,
    state: &Mutex<State>,
    storage_url: &str,
    is_storage: bool,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut words = first.split_whitespace();
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default();
    // A proxy is asked for whole addresses.
    let path = target.strip_prefix("http://").map_or(target, |rest| &rest[rest.find('/').unwrap_or(0)..]);
    let (mut from, mut token) = (None, None);
    for line in reader.lines() {
        let line = line?;
        let Some((name, value)) = line.split_once(": ") else { break };
        match name.to_lowercase().as_str() {
            "range" => {
                from = value.strip_prefix("bytes=").and_then(|range| range.split('-').next()?.parse().ok())
            }
            "authorization" => token = Some(value.to_owned()),
            _ => {}
        }
    }
    let line = format!("{method} {path}");
    let (answer, fault) = {
        let mut state = state.lock().unwrap();
        state.seen.push(Seen { line: line.clone(), from, token, storage: is_storage });
        let mut fault = None;
        for (at, what, times) in &mut state.faults {
            if fault.is_none() && *times > 0 && line.contains(at.as_str()) {
                *times -= 1;
                fault = Some(*what);
            }
        }
        (route(path, from, &state.repos, storage_url, fault), fault)
    };
    send(stream, answer, method == "HEAD", fault)
}

fn route(path: &str, from: Option<u64>, repos: &[Repo], storage_url: &str, fault: Option<Fault>) -> Answer {
    match fault {
        Some(Fault::Status(status, code)) => return error(status, code),
        Some(Fault::Moved(to)) => return answer(307, vec![("Location", to.into())], Vec::new()),
        Some(Fault::Page) => {
            let page = b"<html>please log in</html>".to_vec();
            return answer(200, vec![("Content-Type", "text/html".into())], page);
        }
        _ => {}
    }
    // A model that was given another name.
    if path.contains("/old/name/") {
        let to = path.replace("/old/name/", "/somebody/tiny/");
        return answer(307, vec![("Location", to)], Vec::new());
    }
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let find = |owner: &str, name: &str| repos.iter().find(|repo| repo.id == format!("{owner}/{name}"));
    match parts.as_slice() {
        ["api", "models", owner, name, rest @ ..] if rest.is_empty() || rest[0] == "revision" => {
            // Without a token the hub does not tell whether a model is private or not there.
            let Some(repo) = find(owner, name) else { return error(401, "RepoNotFound") };
            let revision = rest.get(1).copied().unwrap_or("main");
            if !["main", "v1", &repo.commit].contains(&revision) {
                return error(404, "RevisionNotFound");
            }
            let siblings: Vec<_> = repo.files.iter().map(|file| json!({ "rfilename": file.name })).collect();
            let info = json!({ "_id": "1", "id": repo.id, "sha": repo.commit, "siblings": siblings });
            let headers = vec![("Content-Type", "application/json".into())];
            answer(200, headers, info.to_string().into_bytes())
        }
        ["api", "models", owner, name, "tree", _] => {
            let Some(repo) = find(owner, name) else { return error(401, "RepoNotFound") };
            let entry = |file: &File| {
                let (path, size) = (&file.name, file.bytes.len());
                let mut entry = json!({ "type": "file", "path": path, "size": size, "oid": file.etag() });
                if file.large {
                    entry["lfs"] = json!({ "oid": file.etag(), "size": size, "pointerSize": 134 });
                }
                entry
            };
            let entries: Vec<_> = repo.files.iter().map(entry).collect();
            let headers = vec![("Content-Type", "application/json".into())];
            answer(200, headers, json!(entries).to_string().into_bytes())
        }
        [owner, name, "resolve", revision, file] => {
            let Some(repo) = find(owner, name) else { return error(401, "RepoNotFound") };
            if !["main", "v1", &repo.commit].contains(revision) {
                return error(404, "RevisionNotFound");
            }
            let Some(found) = repo.files.iter().find(|found| found.name == *file) else {
                return error(404, "EntryNotFound");
            };
            let commit = ("X-Repo-Commit", repo.commit.clone());
            if found.large {
                let to = format!("{storage_url}/{}/{}?signed=yes", repo.id, found.etag());
                let headers = vec![
                    commit,
                    ("X-Linked-Etag", format!("\"{}\"", found.etag())),
                    ("X-Linked-Size", found.bytes.len().to_string()),
                    ("Location", to),
                ];
                return answer(302, headers, Vec::new());
            }
            let to = format!("/api/resolve-cache/models/{}/{}/{file}", repo.id, repo.commit);
            answer(307, vec![commit, ("Location", to)], Vec::new())
        }
        ["api", "resolve-cache", "models", owner, name, _, file] => {
            let repo = find(owner, name).unwrap();
            let found = repo.files.iter().find(|found| found.name == *file).unwrap();
            let headers =
                vec![("ETag", format!("\"{}\"", found.etag())), ("X-Repo-Commit", repo.commit.clone())];
            ranged(&found.bytes, from, headers, fault)
        }
        [owner, name, hash] => {
            let hash = hash.split('?').next().unwrap();
            let Some(repo) = find(owner, name) else { return error(404, "NoSuchKey") };
            let Some(found) = repo.files.iter().find(|found| found.etag() == hash) else {
                return error(403, "AccessDenied");
            };
            ranged(&found.bytes, from, vec![("ETag", "\"of-the-storage\"".into())], fault)
        }
        _ => error(404, "NoSuchPage"),
    }
}

fn ranged(
    bytes: &[u8],
    from: Option<u64>,
    mut headers: Vec<(&'static str, String)>,
    fault: Option<Fault>,
) -> Answer {
    let mut bytes = bytes.to_vec();
    match fault {
        Some(Fault::Tamper) => {
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
        }
        Some(Fault::Short(n)) => bytes.truncate(bytes.len() - n),
        _ => {}
    }
    let total = bytes.len();
    match from {
        Some(from) if !matches!(fault, Some(Fault::NoRange)) => {
            let from = from as usize;
            if from >= total {
                return answer(416, vec![("Content-Range", format!("bytes */{total}"))], Vec::new());
            }
            headers.push(("Content-Range", format!("bytes {from}-{}/{total}", total - 1)));
            answer(206, headers, bytes[from..].to_vec())
        }
        _ => answer(200, headers, bytes),
    }
}

fn send(mut stream: TcpStream, answer: Answer, head: bool, fault: Option<Fault>) -> std::io::Result<()> {
    let mut text = format!("HTTP/1.1 {} Whatever\r\nConnection: close\r\n", answer.status);
    for (name, value) in &answer.headers {
        text += &format!("{name}: {value}\r\n");
    }
    text += &format!("Content-Length: {}\r\n\r\n", answer.body.len());
    stream.write_all(text.as_bytes())?;
    if head {
        return Ok(());
    }
    match fault {
        Some(Fault::Cut(n)) => stream.write_all(&answer.body[..n.min(answer.body.len())]),
        Some(Fault::Stall(time)) => {
            let (first, second) = answer.body.split_at(answer.body.len() / 2);
            stream.write_all(first)?;
            thread::sleep(time);
            stream.write_all(second)
        }
        Some(Fault::Slow(pause)) => {
            for piece in answer.body.chunks(1 << 14) {
                stream.write_all(piece)?;
                thread::sleep(pause);
            }
            Ok(())
        }
        _ => stream.write_all(&answer.body),
    }?;
    stream.flush()?;
    stream.shutdown(std::net::Shutdown::Write)?;
    // Whoever closes first must not lose what is on its way.
    let _ = stream.read(&mut [0; 16])?;
    Ok(())
}
