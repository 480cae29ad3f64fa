//! Where a KMS listens, as typed and as checked.

use std::fmt;
use std::str::FromStr;

use reqwest::Url;
use thiserror::Error;

/// The address of a KMS: `https://HOST` or `https://HOST:PORT`, nothing more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmsAddress(Url);

/// A text is no address of a KMS.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("KMS address \"{shown}\": {problem}\nhint: write https://HOST:PORT, for example https://kms1.example.org:8443")]
pub struct AddressError {
    /// The text with everything unprintable escaped.
    pub shown: String,
    /// What is wrong with it.
    pub problem: String,
}

impl KmsAddress {
    /// The address of one thing that the KMS offers: `path` with one more segment for each of `names`, each quoted as needed.
    pub(super) fn join(&self, path: &str, names: &[&str]) -> Url {
        let mut url = self.0.clone();
        url.set_path(path);
        // Only addresses that cannot be a base have no segments; `from_str` refuses those.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(names);
        }
        url
    }
}

impl FromStr for KmsAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let problem = |problem: String| AddressError {
            shown: text.escape_default().to_string(),
            problem,
        };
        let url = Url::parse(text).map_err(|error| problem(error.to_string()))?;
        if url.scheme() != "https" {
            return Err(problem(format!(
                "the scheme is {}, keys travel over https only",
                url.scheme()
            )));
        }
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let anonymous = url.username().is_empty() && url.password().is_none();
        if url.host_str().is_none() || !bare || !anonymous {
            return Err(problem("only host and port are allowed".to_owned()));
        }
        Ok(Self(url))
    }
}

impl fmt::Display for KmsAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.0.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_host_and_port_and_nothing_else() {
        for (text, shown) in [
            ("https://kms1:8443", "https://kms1:8443"),
            ("https://[::1]:1/", "https://[::1]:1"),
            ("https://k", "https://k"),
        ] {
            assert_eq!(text.parse::<KmsAddress>().unwrap().to_string(), shown);
        }
        for bad in [
            "",
            "kms1:8443",
            "http://kms1:8443",
            "https://a/b",
            "https://a?b",
            "https://u:p@a",
            "https://",
            "https://a:99999",
        ] {
            let error = bad.parse::<KmsAddress>().unwrap_err().to_string();
            assert!(error.contains("hint: "), "{error}");
        }
    }

    #[test]
    fn a_name_cannot_leave_its_segment() {
        let address: KmsAddress = "https://kms1:8443".parse().unwrap();
        assert_eq!(
            address.join("/v1/groups", &["a/../b?c#d", "keys"]).path(),
            "/v1/groups/a%2F..%2Fb%3Fc%23d/keys"
        );
        assert_eq!(address.join("/v1/groups", &["..", "keys"]).path(), "/v1/groups/keys");
    }
}
