//! Names of models: openai/whisper's and Distil-Whisper's short ones, and `owner/name@revision`.

use std::fmt;

/// A model that has a short name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// openai/whisper's name.
    pub name: &'static str,
    /// Where the hub has it, as `owner/name`.
    pub repo: &'static str,
    /// Parameters, in millions.
    pub millions: u32,
}

impl Known {
    /// Bytes of its weights at 16 bits, to about 2 %. A repository may keep them in 32 bits, twice as long.
    pub fn f16_bytes(&self) -> u64 {
        u64::from(self.millions) * 2_000_000
    }
}

const fn known(name: &'static str, repo: &'static str, millions: u32) -> Known {
    Known { name, repo, millions }
}

/// Every short name, the small models first. `large` and `turbo` mean the newest, as in openai/whisper.
pub const KNOWN: [Known; 19] = [
    known("tiny.en", "openai/whisper-tiny.en", 38),
    known("tiny", "openai/whisper-tiny", 38),
    known("base.en", "openai/whisper-base.en", 73),
    known("base", "openai/whisper-base", 73),
    known("small.en", "openai/whisper-small.en", 242),
    known("small", "openai/whisper-small", 242),
    known("medium.en", "openai/whisper-medium.en", 764),
    known("medium", "openai/whisper-medium", 764),
    // The first large model has no number on the hub.
    known("large-v1", "openai/whisper-large", 1543),
    known("large-v2", "openai/whisper-large-v2", 1543),
    known("large-v3", "openai/whisper-large-v3", 1543),
    known("large", "openai/whisper-large-v3", 1543),
    known("large-v3-turbo", "openai/whisper-large-v3-turbo", 809),
    known("turbo", "openai/whisper-large-v3-turbo", 809),
    known("distil-small.en", "distil-whisper/distil-small.en", 166),
    known("distil-medium.en", "distil-whisper/distil-medium.en", 394),
    known("distil-large-v2", "distil-whisper/distil-large-v2", 756),
    known("distil-large-v3", "distil-whisper/distil-large-v3", 756),
    known("distil-large-v3.5", "distil-whisper/distil-large-v3.5", 756),
];

/// What is meant where no revision is given.
const DEFAULT_REVISION: &str = "main";

/// A model on the hub.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HubName {
    /// User or organisation.
    pub owner: String,
    /// Name of the repository.
    pub name: String,
    /// Branch, tag or commit.
    pub revision: String,
}

impl HubName {
    /// Reads `NAME`, `OWNER/NAME` or either with `@REVISION`; None if this can't be a name on the hub.
    pub fn parse(typed: &str) -> Option<Self> {
        let (repo, revision) = typed.split_once('@').unwrap_or((typed, DEFAULT_REVISION));
        let repo = KNOWN.iter().find(|known| known.name == repo).map_or(repo, |known| known.repo);
        let (owner, name) = repo.split_once('/')?;
        let good = is_part(owner) && is_part(name) && revision.split('/').all(is_part);
        good.then(|| Self { owner: owner.into(), name: name.into(), revision: revision.into() })
    }

    /// `owner/name`.
    pub fn repo(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    /// Whether the revision is a commit, which never changes what it holds.
    pub fn is_commit(&self) -> bool {
        is_commit(&self.revision)
    }
}

impl fmt::Display for HubName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)?;
        if self.revision != DEFAULT_REVISION {
            write!(f, "@{}", self.revision)?;
        }
        Ok(())
    }
}

/// Whether a word may stand in a name, a revision or a file's name: nothing that leaves its folder or needs escapes.
pub fn is_part(word: &str) -> bool {
    let first = word.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    first && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// Whether this is a whole commit hash.
pub fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}
