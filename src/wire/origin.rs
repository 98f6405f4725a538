//! Which pages a browser may ask us for (RFC 6455 §10.2): what keeps a foreign site from
//! using a visitor's browser against us.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::request::Request;
use super::upgrade::Rejection;

/// The origins that may ask.
#[derive(Clone, Copy, Debug)]
pub enum Origins<'a> {
    /// All of them: for a server that guards nothing.
    Any,
    /// The server's own, and exactly these.
    OwnAnd(&'a [String]),
    /// The server's own, where its name can mean this machine alone, and exactly these. What
    /// reaches us over the loopback interface may be a foreign page, whose server has its name
    /// lead to 127.0.0.1 (DNS rebinding): then its `Origin` equals `Host`, and proves nothing.
    LoopbackAnd(&'a [String]),
}

impl Origins<'_> {
    /// Checks the origin of a request; one without an `Origin` comes from no browser's page
    /// and passes. Returns which of those that are named the origin is, where it is another's.
    ///
    /// # Errors
    /// [`Rejection::Origin`] for any other, `null` included.
    pub fn check(self, request: &Request<'_>) -> Result<Option<usize>, Rejection> {
        let (named, is_loopback) = match self {
            Origins::Any => return Ok(None),
            Origins::OwnAnd(named) => (named, false),
            Origins::LoopbackAnd(named) => (named, true),
        };
        let Some(origin) = request.origin else {
            return Ok(None);
        };
        if is_own(origin, request.host) && (!is_loopback || names_loopback(request.host)) {
            return Ok(None);
        }
        let place = named.iter().position(|named| named.as_bytes() == origin);
        place.map(Some).ok_or(Rejection::Origin)
    }
}

/// True when `origin` is `http[s]://` and the host and port the client knows us by. The scheme
/// may differ, for TLS may have ended before us; its default port may stand or not, on either
/// side, and an empty port too (RFC 6454 §4, RFC 9110 §4.2.3).
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
    let host = host.strip_suffix(':').unwrap_or(host);
    let bare = |name| str::strip_suffix(name, default_port).unwrap_or(name);
    // HTTP/1.0 may name no host: then no page's is ours.
    !host.is_empty() && bare(authority).eq_ignore_ascii_case(bare(host))
}

/// True when `host[:port]` can name nothing but this machine: RFC 6761 §6.3, or an address of the
/// loopback interface.
fn names_loopback(host: &str) -> bool {
    if let Some(literal) = host.strip_prefix('[') {
        let literal = literal.split(']').next().unwrap_or_default();
        let address = literal.parse::<Ipv6Addr>().map(IpAddr::V6);
        return address.is_ok_and(|address| address.to_canonical().is_loopback());
    }
    let name = host.split(':').next().unwrap_or_default();
    let is_localhost =
        name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost");
    is_localhost
        || name
            .parse::<Ipv4Addr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::super::head::HeadScanner;
    use super::*;

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
        assert_own(
            "a.example:",
            &["http://a.example", "https://a.example"],
            true,
        );
    }

    #[test]
    fn without_a_host_no_origin_is_own() {
        assert_own(
            "",
            &["http://", "https://", "http://:80", "http://a"],
            false,
        );
    }

    #[test]
    fn over_loopback_a_name_that_may_lead_anywhere_is_not_own() {
        let named = ["http://listed.example".to_owned()];
        let check = |host: &str, origin: &str, origins: Origins<'_>| {
            let head = format!("GET /ws HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\n\r\n");
            let mut scanner = HeadScanner::default();
            let head = scanner.scan(head.as_bytes()).unwrap().unwrap();
            origins.check(&Request::parse(head).unwrap())
        };
        for (host, is_loopback) in [
            ("localhost", true),
            ("LocalHost:7420", true),
            ("app.localhost:7420", true),
            ("127.0.0.1:7420", true),
            ("127.8.9.1", true),
            ("[::1]:7420", true),
            ("[::ffff:127.0.0.1]", true),
            ("evil.example:7420", false),
            ("localhost.evil.example", false),
            ("evillocalhost", false),
            ("127.0.0.1.evil.example", false),
            ("192.0.2.1", false),
            ("[2001:db8::1]", false),
            ("0.0.0.0:7420", false),
        ] {
            let origin = format!("http://{host}");
            assert_eq!(check(host, &origin, Origins::OwnAnd(&named)), Ok(None));
            let expected = if is_loopback {
                Ok(None)
            } else {
                Err(Rejection::Origin)
            };
            assert_eq!(
                check(host, &origin, Origins::LoopbackAnd(&named)),
                expected,
                "{host}"
            );
        }
        // Who is named is named, whatever its host.
        let listed = check(
            "listed.example",
            "http://listed.example",
            Origins::LoopbackAnd(&named),
        );
        assert_eq!(listed, Ok(Some(0)));
        assert_eq!(
            check("a", "null", Origins::LoopbackAnd(&named)),
            Err(Rejection::Origin)
        );
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
