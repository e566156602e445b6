//! Python's huggingface_hub beside us on the same cache, and a hub behind TLS.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use super::commands::{program, said};
use super::{COMMIT, files, hub_with, listed, repo};
use crate::data;

/// The tests' Python, away from this machine's settings for hubs.
fn python(script: &str) -> Command {
    let python = data::tests().join(".venv/bin/python");
    assert!(python.exists(), "tests/.venv is missing: `tests/run native` makes it");
    let mut command = Command::new(python);
    command.args(["-c", script]).env_remove("HF_HUB_OFFLINE").env_remove("HF_TOKEN");
    command
}

fn in_python(script: &str, endpoint: &str, home: &Path) -> String {
    let output = python(script).env("HF_ENDPOINT", endpoint).env("HF_HOME", home).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn what_python_fetched_is_found_here() {
    let hub = hub_with(files());
    let home = tempfile::tempdir().unwrap();
    let script = "import huggingface_hub as h; print(h.snapshot_download('somebody/tiny'))";
    let folder = in_python(script, &hub.url, home.path());
    hub.forget();
    let output = program(&hub.url, home.path(), &["models", "fetch", "somebody/tiny"])
        .env("HF_HUB_OFFLINE", "1")
        .output()
        .unwrap();
    assert_eq!(said(&output), (0, format!("{folder}\n"), String::new()));
    assert_eq!(hub.seen(), []);
    let online = program(&hub.url, home.path(), &["models", "fetch", "somebody/tiny"]).output().unwrap();
    assert_eq!(said(&online), (0, format!("{folder}\n"), String::new()));
    assert_eq!(hub.seen().len(), 1, "{:?}", hub.seen());
}

#[test]
fn what_we_fetched_is_found_by_python() {
    let hub = hub_with(files());
    let home = tempfile::tempdir().unwrap();
    let output = program(&hub.url, home.path(), &["models", "fetch", "somebody/tiny"]).output().unwrap();
    assert_eq!(said(&output).0, 0);
    let script = "import huggingface_hub as h
for name in ['config.json', 'generation_config.json', 'tokenizer.json', 'model.safetensors']:
    print(h.hf_hub_download('somebody/tiny', name, local_files_only=True))
";
    let snapshot = repo(&home.path().join("hub")).join("snapshots").join(COMMIT);
    hub.forget();
    let lines = in_python(script, &hub.url, home.path());
    for line in lines.lines() {
        assert_eq!(Path::new(line).parent(), Some(snapshot.as_path()));
    }
    // It may ask the hub about other things than models.
    assert_eq!((lines.lines().count(), hub.count("somebody")), (4, 0), "{:?}", hub.seen());
    // With the hub at hand it finds nothing to do for what is there, and nothing wrong in the cache.
    let script = "import huggingface_hub as h
h.hf_hub_download('somebody/tiny', 'model.safetensors')
cache = h.scan_cache_dir()
print(len(cache.repos), len(cache.warnings), *sorted(r.refs for r in list(cache.repos)[0].revisions))
";
    assert_eq!(in_python(script, &hub.url, home.path()), "1 0 frozenset({'main'})");
    assert!(hub.seen().iter().all(|seen| !seen.storage), "{:?}", hub.seen());
    assert_eq!(listed(&repo(&home.path().join("hub")).join("blobs")).len(), 4);
}

/// Passes on what comes by TLS; prints its port and the file of its authority.
const TLS_FRONT: &str = "
import socket, ssl, sys, tempfile, threading, trustme
ca = trustme.CA()
file = tempfile.mkdtemp() + '/ca.pem'
ca.cert_pem.write_to_path(file)
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
ca.issue_cert('127.0.0.1').configure_cert(context)
host, port = sys.argv[1].split(':')
def pass_on(a, b):
    try:
        while data := a.recv(65536): b.sendall(data)
        b.shutdown(socket.SHUT_WR)
    except OSError: pass
def serve(raw):
    try: client = context.wrap_socket(raw, server_side=True)
    except OSError: return
    hub = socket.create_connection((host, int(port)))
    threading.Thread(target=pass_on, args=(client, hub), daemon=True).start()
    pass_on(hub, client)
    client.close()
server = socket.create_server(('127.0.0.1', 0))
print(server.getsockname()[1], file, flush=True)
while True: threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
";

#[test]
fn a_hub_behind_tls_is_trusted_as_the_system_trusts_it() {
    let hub = hub_with(files());
    let address = hub.url.strip_prefix("http://").unwrap();
    let mut front = python(TLS_FRONT).arg(address).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(front.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let (port, authority) =
        line.trim().split_once(' ').expect("trustme is needed: `tests/run native` installs it");
    let endpoint = format!("https://127.0.0.1:{port}");
    let home = tempfile::tempdir().unwrap();
    let typed = ["models", "fetch", "somebody/tiny"];
    let trusted = program(&endpoint, home.path(), &typed).env("SSL_CERT_FILE", authority).output().unwrap();
    let elsewhere = home.path().join("empty");
    let flag = ["--cache_dir", elsewhere.to_str().unwrap()];
    let stranger = program(&endpoint, home.path(), &typed).args(flag).output().unwrap();
    front.kill().unwrap();
    front.wait().unwrap();
    assert_eq!(said(&trusted).0, 0, "{}", said(&trusted).2);
    let (code, _, stderr) = said(&stranger);
    assert_eq!(code, 1);
    assert!(stderr.contains("SSL_CERT_FILE"), "{stderr}");
}
