//! `serve --init`: the secret, the database and the first user, where they are missing.
//! Everything is looked at before anything is made, and a second start makes nothing.

use std::fs;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::ControlFlow;
use std::path::Path;

use super::error::CliError;
use super::{Context, env_file, secret};
use crate::app::password;
use crate::app::users::{Mode, SqliteStore, StoreError, User};
use crate::config::{Config, Listen, Secrets};
use crate::time::UnixSeconds;

/// The first user, by id and name.
const ADMIN: &str = "admin";

/// What is missing.
#[derive(Default)]
pub(super) struct Missing {
    /// The `.env` file and the secret in it.
    pub(super) secret: bool,
    users: bool,
}

impl Missing {
    /// Looks without touching. What is there must be fit.
    pub(super) fn look(
        config: &Config,
        secrets: &Secrets,
        env_file: &Path,
    ) -> Result<Missing, CliError> {
        Ok(Missing {
            secret: lacks_secret(secrets, env_file)?,
            users: lacks_users(&config.database)?,
        })
    }

    /// Makes what is missing, and tells what it made.
    pub(super) fn make(
        &self,
        config: &Config,
        env_file: &Path,
        context: &mut Context<'_>,
    ) -> Result<(), CliError> {
        if self.secret {
            env_file::make(env_file, &secret::fresh_secret()?)?;
            let path = env_file.display();
            writeln!(context.output, "made {path} with a random LOCAL_JWT_SECRET")?;
            if !self.users {
                let database = config.database.display();
                writeln!(
                    context.output,
                    "{database} has users already: no `{ADMIN}` was made"
                )?;
            }
        }
        if self.users {
            let now = (context.clock)();
            make_admin(config, now, context.output).inspect_err(|_| {
                if self.secret {
                    // Nothing stays half-made; what cannot be removed is whole, and harmless.
                    let _ = fs::remove_file(env_file);
                }
            })?;
        }
        Ok(context.output.flush()?)
    }
}

/// Whether a `.env` file is to be made. One that is there and lacks the secret is a person's,
/// and not ours to change.
fn lacks_secret(secrets: &Secrets, env_file: &Path) -> Result<bool, CliError> {
    match secrets.current.is_none() && !env_file.exists() {
        true => Ok(true),
        false => secret::keys(secrets, env_file).map(|_| false),
    }
}

/// Whether the database is missing, or was made and then never got a user.
fn lacks_users(database: &Path) -> Result<bool, CliError> {
    match SqliteStore::open(database, Mode::Read) {
        Ok(store) => is_empty(&store),
        Err(StoreError::Missing { .. }) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

fn is_empty(store: &SqliteStore) -> Result<bool, CliError> {
    let mut empty = true;
    store.list(|_| {
        empty = false;
        ControlFlow::Break(())
    })?;
    Ok(empty)
}

fn make_admin(config: &Config, now: UnixSeconds, output: &mut dyn Write) -> Result<(), CliError> {
    let password = secret::fresh_password()?;
    let hash = password::hash(&password, *secret::random()?, config.password_memory_kib)?;
    let admin = User::new(ADMIN, ADMIN, Some(hash), now)?;
    SqliteStore::open(&config.database, Mode::Administer)?.add(&admin)?;
    tell(config, &password, output).map_err(CliError::PasswordNotShown)
}

fn tell(config: &Config, password: &str, output: &mut dyn Write) -> io::Result<()> {
    write!(
        output,
        "made the user {ADMIN} in {}\n\
         \n    password: {password}\n\n\
         This is shown once; `framegate user passwd {ADMIN}` sets another. To try it, start\n\
         \n    {}\n\n\
         and paste\n\
         \n    {{\"event\":\"login\",\"data\":{{\"id\":\"{ADMIN}\",\"password\":\"{password}\"}}}}\n\n",
        config.database.display(),
        config.listen.first().map(websocat).unwrap_or_default(),
    )
}

/// The command that connects to `listen` from this machine.
fn websocat(listen: &Listen) -> String {
    match listen {
        Listen::Tcp(address) => format!("websocat ws://{}/ws", reachable(*address)),
        Listen::Unix(path) => {
            format!(
                "websocat -t --ws-c-uri=ws://localhost/ws - ws-c:unix:{}",
                path.display()
            )
        }
    }
}

/// A listener on every address is reached through loopback.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_to_try_reaches_the_listener() {
        for (listen, line) in [
            ("127.0.0.1:7420", "websocat ws://127.0.0.1:7420/ws"),
            ("0.0.0.0:80", "websocat ws://127.0.0.1:80/ws"),
            ("[::]:80", "websocat ws://[::1]:80/ws"),
            ("10.0.0.1:80", "websocat ws://10.0.0.1:80/ws"),
        ] {
            assert_eq!(websocat(&Listen::Tcp(listen.parse().unwrap())), line);
        }
        assert_eq!(
            websocat(&Listen::Unix("/run/f.sock".into())),
            "websocat -t --ws-c-uri=ws://localhost/ws - ws-c:unix:/run/f.sock"
        );
    }
}
