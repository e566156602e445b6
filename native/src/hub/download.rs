//! One file from the hub to its blob. It grows beside as `.incomplete`, from which any later try goes on, and gets its
//! name only when its length and hash are right.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::thread;

use reqwest::blocking::Response;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE};

use super::cache::Repo;
use super::hash::Hash;
use super::remote::{DELAYS, Meta, Remote, text};
use super::trouble::{Kind, Trouble};
use super::watch::Watch;

/// Sees to it that the blob of `meta` is in `repo`, whole.
///
/// # Errors
/// If it can't be had; what came of it stays for the next time, unless it is wrong.
pub fn fetch(remote: &Remote<'_>, repo: &Repo, meta: &Meta, watch: &Watch) -> Result<(), Trouble> {
    let blob = repo.blob(&meta.etag);
    let _lock = repo.lock(&meta.etag, || watch.say("another program fetches it, waiting"))?;
    watch.say("");
    if let Ok(there) = fs::metadata(&blob) {
        if meta.size.is_none_or(|size| size == there.len()) {
            watch.here(there.len());
            return Ok(());
        }
        // It was cut short since: no more than a beginning.
        fs::remove_file(&blob).map_err(|error| Trouble::disk(&error, &blob))?;
    }
    let path = repo.partial(&meta.etag);
    let mut partial = Partial::open(&path).map_err(|error| Trouble::disk(&error, &path))?;
    watch.here(partial.length);
    let mut fresh = partial.length == 0;
    loop {
        complete(remote, meta, watch, &mut partial)?;
        watch.say("checking");
        partial.file.sync_all().map_err(|error| Trouble::disk(&error, &path))?;
        // Another kind of name than a hash says nothing of what is in the file.
        let right = Hash::of_name(&meta.etag).map_or(Ok(true), |hash| hash.is_of(&path));
        watch.say("");
        if right.map_err(|error| Trouble::disk(&error, &path))? {
            return fs::rename(&path, &blob).map_err(|error| Trouble::disk(&error, &blob));
        }
        partial.restart(watch)?;
        if fresh {
            let words = format!(
                "`{}` does not have the hash that {} announced, so it was thrown away; try again, and if it stays so, \
                 something between changes files: try another network or proxy",
                meta.file,
                remote.endpoint()
            );
            return Err(Trouble::new(Kind::Damaged, words));
        }
        // What lay here from before may be the fault.
        fresh = true;
    }
}

/// Downloads what is missing, going on where it broke off. It gives up after some tries that bring nothing new.
fn complete(
    remote: &Remote<'_>,
    meta: &Meta,
    watch: &Watch,
    partial: &mut Partial<'_>,
) -> Result<(), Trouble> {
    let mut tries = 0;
    let mut most = partial.length;
    while meta.size.is_none_or(|size| partial.length != size) {
        let trouble = match receive(remote, meta, watch, partial) {
            Ok(()) if meta.size.is_none_or(|size| partial.length == size) => return Ok(()),
            Ok(()) => Trouble::new(
                Kind::Unreachable,
                format!("{} ends in the middle of the file", remote.endpoint()),
            ),
            Err(trouble) if trouble.kind == Kind::Unreachable => trouble,
            Err(trouble) => return Err(trouble),
        };
        if partial.length > most {
            (most, tries) = (partial.length, 0);
        }
        let Some(delay) = DELAYS.get(tries) else {
            let kept =
                format!("; {} bytes of `{}` are kept, the next run goes on there", partial.length, meta.file);
            return Err(Trouble { words: trouble.words + &kept, ..trouble });
        };
        thread::sleep(*delay);
        tries += 1;
    }
    Ok(())
}

/// Takes one answer of the hub.
fn receive(
    remote: &Remote<'_>,
    meta: &Meta,
    watch: &Watch,
    partial: &mut Partial<'_>,
) -> Result<(), Trouble> {
    if meta.size.is_none_or(|size| partial.length > size) {
        partial.restart(watch)?;
    }
    let mut answer = remote.bytes(meta, partial.length)?;
    if partial.length > 0 && start(&answer) != Some(partial.length) {
        partial.restart(watch)?;
        if answer.status().as_u16() != 200 {
            answer = remote.bytes(meta, 0)?;
        }
    }
    let total = total(&answer);
    if let (Some(expected), Some(total)) = (meta.size, total)
        && expected != total
    {
        let words = format!(
            "`{}` is {total} bytes long where {} announced {expected}; try again, and if it stays so, something between \
             changes files: try another network or proxy",
            meta.file,
            remote.endpoint()
        );
        return Err(Trouble::new(Kind::Damaged, words));
    }
    let mut left = meta.size.map_or(u64::MAX, |size| size - partial.length);
    let mut buffer = vec![0; 1 << 17];
    while left > 0 {
        if watch.failed() {
            return Err(Trouble::new(Kind::GivenUp, "another file of the model could not be fetched"));
        }
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let n = match answer.read(&mut buffer[..most]) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Trouble::transport(&error, remote.endpoint())),
        };
        partial.add(&buffer[..n])?;
        watch.came(n as u64);
        left -= n as u64;
    }
    Ok(())
}

/// Where an answer begins in the file.
fn start(answer: &Response) -> Option<u64> {
    match answer.status().as_u16() {
        206 => text(answer.headers(), CONTENT_RANGE.as_str())?
            .strip_prefix("bytes ")?
            .split_once('-')?
            .0
            .parse()
            .ok(),
        200 => Some(0),
        _ => None,
    }
}

/// The length of the whole file, as an answer has it.
fn total(answer: &Response) -> Option<u64> {
    match answer.status().as_u16() {
        206 => text(answer.headers(), CONTENT_RANGE.as_str())?.rsplit_once('/')?.1.parse().ok(),
        _ => text(answer.headers(), CONTENT_LENGTH.as_str())?.parse().ok(),
    }
}

/// The beginning of a file.
struct Partial<'a> {
    path: &'a Path,
    file: File,
    length: u64,
}

impl<'a> Partial<'a> {
    fn open(path: &'a Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = File::options().create(true).truncate(false).write(true).open(path)?;
        let length = file.seek(SeekFrom::End(0))?;
        Ok(Self { path, file, length })
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        self.file.write_all(bytes).map_err(|error| Trouble::disk(&error, self.path))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn restart(&mut self, watch: &Watch) -> Result<(), Trouble> {
        let cut = self.file.set_len(0).and_then(|()| self.file.rewind());
        cut.map_err(|error| Trouble::disk(&error, self.path))?;
        watch.lost(self.length);
        self.length = 0;
        Ok(())
    }
}
