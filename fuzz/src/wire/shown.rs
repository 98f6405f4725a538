//! A head as it is shown in a recording: without what may be a secret, and read as before.

use std::net::{IpAddr, Ipv4Addr};

use framegate::internals::wire::{
    Authorization, Head, HeadError, HeadScanner, Origins, Request, Upgrade, blank_text,
    fill_sensitive, forwarded,
};

/// What may be a secret is filled up, and the head says what it said.
pub(super) fn assert_shown(head: Head<'_>) {
    let mut shown = head.bytes().to_vec();
    fill_sensitive(head, &mut shown, |token| "x".repeat(token.len()));
    let mut scanner = HeadScanner::default();
    let seen = scanner.scan(&shown).map(|seen| seen.map(read));
    assert_eq!(seen, Ok(Some(read(head))), "{}", shown.escape_ascii());
}

/// A text that is none is none from the same byte on when only that is to be seen of it.
pub(super) fn assert_blank(text: &[u8]) {
    let mut shown = text.to_vec();
    blank_text(&mut shown);
    assert_eq!(str::from_utf8(&shown).err(), str::from_utf8(text).err());
    let again = shown.clone();
    blank_text(&mut shown);
    assert_eq!(shown, again);
}

/// What the server knows of a head.
fn read(head: Head<'_>) -> Result<String, HeadError> {
    let request = Request::parse(head)?;
    let token_bytes = match request.authorization {
        Authorization::Bearer(token) => Some(token.len()),
        _ => None,
    };
    let origins = [
        Origins::Any,
        Origins::OwnAnd(&[]),
        Origins::LoopbackAnd(&[]),
    ];
    let upgrades = origins.map(|origins| {
        let upgrade = Upgrade::check(&request, origins);
        upgrade.map(|upgrade| (upgrade.offers_subprotocol, upgrade.token))
    });
    let proxies = [Ipv4Addr::LOCALHOST, Ipv4Addr::new(9, 9, 9, 9)];
    let clients = proxies.map(|proxy| {
        let is_trusted = |address: IpAddr| address == proxy || address.is_loopback();
        forwarded::client(&request, Ipv4Addr::LOCALHOST.into(), is_trusted)
    });
    let routes = ["/ws", "/login", "/health", "/"];
    Ok(format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {token_bytes:?} {upgrades:?} {clients:?}",
        request.method,
        routes.map(|route| route == request.path),
        request.host,
        request.content_length,
        request.transfer_encoding,
        request.expectation,
        request.authorization,
    ))
}
