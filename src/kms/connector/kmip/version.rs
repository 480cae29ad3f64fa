//! Which version of the protocol is spoken with a server: asked with the header of 1.4 and downwards, since servers refuse headers that they do
//! not know, and then chosen from what the server lists. The version in a reply proves nothing: some echo any.

use std::sync::PoisonError;

use super::Inner;
use super::error::Trouble;
use super::names::{ProtocolVersion, version};
use super::question::Question;
use super::reason::Meaning;
use super::reply::{self, Reply, Unreadable};

/// Versions that are spoken here, the best first. 1.4 before 2.x: more servers get it right.
const PREFERRED: [ProtocolVersion; 7] = [
    version(1, 4),
    version(1, 3),
    version(1, 2),
    version(1, 1),
    version(2, 1),
    version(2, 0),
    version(1, 0),
];

/// With this version keys are exported.
pub(super) const EXPORTING: ProtocolVersion = version(2, 1);

/// Before 1.1 there was no Discover Versions.
const OLDEST: ProtocolVersion = version(1, 0);

/// The versions that a server lists, and the one that is used with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Agreed {
    pub(super) used: ProtocolVersion,
    pub(super) listed: Vec<ProtocolVersion>,
}

impl Inner {
    /// The version that is spoken with this server.
    pub(super) async fn version(&self) -> Result<ProtocolVersion, Trouble> {
        let known = *self.version.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known {
            return Ok(known);
        }
        Ok(self.agree().await?.used)
    }

    /// Asks in the version that was agreed on; if the server refuses that, once more in what it speaks now.
    pub(super) async fn ask<T>(
        &self,
        questions: &[Question<'_>],
        read: impl Fn(Reply<'_>) -> Result<T, Unreadable>,
    ) -> Result<T, Trouble> {
        let version = self.version().await?;
        let read_with_refusal = |said: Reply<'_>| {
            let refused = said.refuses_version();
            Ok((read(said)?, refused))
        };
        let (answer, refused) = self.lines.ask(version, questions, read_with_refusal).await?;
        // The same reason is given for messages that a server does not understand: then it speaks what it spoke before.
        match refused {
            true if self.agree().await?.used != version => self.lines.ask(self.version().await?, questions, read).await,
            _ => Ok(answer),
        }
    }

    /// Asks the server which versions it speaks.
    pub(super) async fn agree(&self) -> Result<Agreed, Trouble> {
        let agreed = self.discover().await?;
        *self.version.lock().unwrap_or_else(PoisonError::into_inner) = Some(agreed.used);
        Ok(agreed)
    }

    async fn discover(&self) -> Result<Agreed, Trouble> {
        let discover = [Question::DiscoverVersions];
        for tried in PREFERRED.into_iter().filter(|tried| *tried != OLDEST) {
            let asked = self.lines.ask(tried, &discover, |said| {
                said.only(|payload| Ok(reply::versions(payload)))
            });
            match asked.await? {
                Ok(listed) => return choose(tried, listed),
                Err(failure) => match failure.meaning() {
                    Meaning::Version => {}
                    Meaning::Unsupported => return choose(tried, Vec::new()),
                    _ => return Err(failure.into()),
                },
            }
        }
        choose(OLDEST, Vec::new())
    }
}

/// The best of what a server lists; if it lists nothing, the version in which it understood the question.
fn choose(understood: ProtocolVersion, listed: Vec<ProtocolVersion>) -> Result<Agreed, Trouble> {
    let used = match listed.is_empty() {
        true => Some(understood),
        false => PREFERRED.into_iter().find(|version| listed.contains(version)),
    };
    match used {
        Some(used) => Ok(Agreed { used, listed }),
        None => Err(Trouble::Refused(format!(
            "it speaks KMIP {} and none of the versions that are spoken here\nhint: let it speak 1.4",
            in_words(&listed)
        ))),
    }
}

/// A list of versions, for people.
pub(super) fn in_words(versions: &[ProtocolVersion]) -> String {
    let versions: Vec<_> = versions.iter().take(16).map(ToString::to_string).collect();
    versions.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_version_that_a_server_lists_is_used() {
        let used = |understood, listed: &[(i32, i32)]| {
            let listed = listed.iter().map(|(major, minor)| version(*major, *minor)).collect();
            choose(understood, listed).map(|agreed| agreed.used.to_string())
        };
        assert_eq!(used(version(1, 4), &[(2, 1), (2, 0), (1, 4), (1, 0)]).unwrap(), "1.4");
        assert_eq!(used(version(1, 2), &[(1, 2), (1, 0), (1, 1)]).unwrap(), "1.2");
        assert_eq!(used(version(2, 0), &[(2, 0)]).unwrap(), "2.0");
        assert_eq!(used(version(1, 3), &[]).unwrap(), "1.3");
        let none = used(version(1, 4), &[(3, 0)]).unwrap_err();
        assert!(none.to_string().contains("it speaks KMIP 3.0"), "{none}");
    }
}
