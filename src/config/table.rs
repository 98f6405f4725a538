//! The table of settings. The variables, the flags, the help and the documentation's table
//! all come from here.

mod bounds;
mod serving;

use bounds::{CAPACITY, DEADLINES, RATES};
use serving::{LISTENING, LOG, PROXIES, USERS_AND_TOKENS};

use super::Config;
use super::settings::{Arity, Group, Setting};
use super::value::Expected;

/// Every setting there is, in the order of the help.
pub const GROUPS: &[Group] = &[
    Group {
        title: "Listening",
        settings: LISTENING,
    },
    Group {
        title: "Users and tokens",
        settings: USERS_AND_TOKENS,
    },
    Group {
        title: "What peers may hold",
        settings: CAPACITY,
    },
    Group {
        title: "How long things may take",
        settings: DEADLINES,
    },
    Group {
        title: "How often things may happen (0 turns a rate or the ban off)",
        settings: RATES,
    },
    Group {
        title: "Proxies in front (for those on a Unix socket, either setting is enough)",
        settings: PROXIES,
    },
    Group {
        title: "The log, on standard error",
        settings: LOG,
    },
];

const fn setting(
    name: &'static str,
    placeholder: &'static str,
    default: &'static str,
    help: &'static str,
    set: fn(&mut Config, &str) -> Result<(), Expected>,
) -> Setting {
    Setting {
        name,
        placeholder,
        default,
        help,
        arity: Arity::One,
        set,
        show: None,
    }
}

fn put<T>(field: &mut T, value: Result<T, Expected>) -> Result<(), Expected> {
    *field = value?;
    Ok(())
}
