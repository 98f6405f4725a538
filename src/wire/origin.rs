//! Which pages a browser may ask us for (RFC 6455 §10.2): what keeps a foreign site from
//! using a visitor's browser against us.

use super::request::Request;
use super::upgrade::Rejection;

/// The origins that may ask.
#[derive(Clone, Copy, Debug)]
pub enum Origins<'a> {
    /// All of them: for a server that guards nothing.
    Any,
    /// The server's own, and exactly these.
    OwnAnd(&'a [String]),
}

impl Origins<'_> {
    /// Checks the origin of a request; one without an `Origin` comes from no browser's page
    /// and passes.
    ///
    /// # Errors
    /// [`Rejection::Origin`] for any other, `null` included.
    pub fn check(self, request: &Request<'_>) -> Result<(), Rejection> {
        match (self, request.origin) {
            (Origins::Any, _) | (_, None) => Ok(()),
            (Origins::OwnAnd(others), Some(origin)) => {
                let named = others.iter().any(|other| other.as_bytes() == origin);
                if named || is_own(origin, request.host) {
                    Ok(())
                } else {
                    Err(Rejection::Origin)
                }
            }
        }
    }
}

/// True when `origin` is `http[s]://` and the host and port the client knows us by. The scheme
/// may differ, for TLS may have ended before us; its default port may stand or not, on either
/// side (RFC 6454 §4, RFC 9110 §4.2.3).
fn is_own(origin: &[u8], host: &str) -> bool {
    let Ok(origin) = str::from_utf8(origin) else {
        return false;
    };
    let Some((scheme, authority)) = origin.split_once("://") else {
        return false;
    };
    let default_port = match scheme {
        _ if scheme.eq_ignore_ascii_case("http") => ":80",
        _ if scheme.eq_ignore_ascii_case("https") => ":443",
        _ => return false,
    };
    let without_port = |name: &'_ str| name.strip_suffix(default_port).map_or(name.len(), str::len);
    authority[..without_port(authority)].eq_ignore_ascii_case(&host[..without_port(host)])
}

#[cfg(test)]
mod tests {
    use super::is_own;

    #[track_caller]
    fn assert_own(host: &str, origins: &[&str], own: bool) {
        for origin in origins {
            assert_eq!(is_own(origin.as_bytes(), host), own, "{origin} at {host}");
        }
    }

    #[test]
    fn an_origin_with_the_hosts_name_and_port_is_own() {
        assert_own(
            "a.example",
            &["http://a.example", "https://a.example", "HTTPS://A.Example"],
            true,
        );
        assert_own(
            "a.example",
            &["http://a.example:80", "https://a.example:443"],
            true,
        );
        assert_own("a.example:80", &["http://a.example"], true);
        assert_own(
            "a.example:443",
            &["https://a.example", "https://a.example:443"],
            true,
        );
        assert_own(
            "127.0.0.1:7420",
            &["http://127.0.0.1:7420", "https://127.0.0.1:7420"],
            true,
        );
        assert_own("[::1]:7420", &["http://[::1]:7420"], true);
        assert_own("[::1]", &["http://[::1]", "http://[::1]:80"], true);
    }

    #[test]
    fn an_origin_that_only_looks_like_the_host_is_foreign() {
        assert_own(
            "a.example",
            &[
                "",
                "null",
                "a.example",
                "//a.example",
                "http:a.example",
                "http://",
                "http://a.example/",
                "http://a.example.evil",
                "http://evil-a.example",
                "http://evil@a.example",
                "http://a.example@evil",
                "http://a.example:8080",
                "http://a.example:443",
                "https://a.example:80",
                "http://a.example:80:80",
                "http://a.example#",
                "http://a.example?",
                "http://a.example ",
                "http://a.exampl\u{435}",
                "ws://a.example",
                "file://a.example",
                "http://http://a.example",
            ],
            false,
        );
        assert_own(
            "a.example:7420",
            &[
                "http://a.example",
                "http://a.example:7421",
                "http://a.example:742",
            ],
            false,
        );
    }
}
