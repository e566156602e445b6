//! Recordings by name.

use std::io::Read;

use candle_whisper::input::{Input, spool};

#[test]
fn stems_are_those_of_pythons_splitext() {
    let table = [
        ("a.wav", "a"),
        ("x/y.tar.gz", "y.tar"),
        ("plain", "plain"),
        (".hidden", ".hidden"),
        (".hidden.wav", ".hidden"),
        ("..twice", "..twice"),
        ("été.日本.mp3", "été.日本"),
        ("dot.", "dot"),
        ("-", "stdin"),
    ];
    for (name, stem) in table {
        assert_eq!(Input::from(std::path::PathBuf::from(name)).stem(), stem, "{name}");
    }
}

#[test]
fn a_pipe_is_read_up_to_a_limit() {
    let mut read = Vec::new();
    spool(&mut [7u8; 100].as_slice(), 100).unwrap().read_to_end(&mut read).unwrap();
    assert_eq!(read, [7u8; 100]);
    let refused = spool(&mut std::io::repeat(0), 1000).err().unwrap().to_string();
    assert!(refused.starts_with("more than 1000 bytes"), "{refused}");
}

#[test]
fn what_can_not_be_read_is_known_before_it_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let check = |path: &std::path::Path| Input::from(path.to_path_buf()).check();
    let message = format!("{:#}", check(folder.path()).unwrap_err());
    assert!(message.ends_with("it is a folder"), "{message}");
    let missing = folder.path().join("missing.wav");
    let message = format!("{:#}", check(&missing).unwrap_err());
    assert!(message.starts_with(&format!("could not read `{}`: ", missing.display())), "{message}");
}
