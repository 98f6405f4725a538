//! From a text frame to its answer: whose token it carries, by jsonwebtoken; what it asks for, by
//! serde_json; who is logged in, in maps behind a lock. Each logged-in connection has a channel
//! into which broadcasts are put, serialised once and shared.

use std::borrow::Cow;
use std::collections::HashMap;
use std::env;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::mpsc::UnboundedSender;

/// The code of the Close after a refusal.
pub const CLOSE_CODE: u16 = 3000;
/// Why a frame was refused, in its error and in the Close.
pub const REASON: &str = "token rejected";

const CREATED_AT: u64 = 1_700_000_000;

/// What all connections share. `M` is a text as the WebSocket library shares it.
pub struct Service<M> {
    key: DecodingKey,
    validation: Validation,
    users: HashMap<String, User>,
    members: Mutex<Members<M>>,
}

struct User {
    name: String,
    created_at: u64,
}

/// The logged-in connections.
struct Members<M> {
    senders: HashMap<u64, UnboundedSender<M>>,
    /// How many each user has; none is no entry.
    online: HashMap<String, usize>,
    next_key: u64,
}

impl<M> Service<M> {
    /// Tokens are signed with `LOCAL_JWT_SECRET`; there are as many users as `USERS` says.
    ///
    /// # Errors
    ///
    /// When one of them is missing, or `USERS` is not a number.
    pub fn from_environment() -> Result<Self, Box<dyn Error>> {
        let secret = env::var("LOCAL_JWT_SECRET").map_err(|_| "LOCAL_JWT_SECRET is not set")?;
        let users: usize = env::var("USERS")
            .map_err(|_| "USERS is not set")?
            .parse()
            .map_err(|_| "USERS is not a number")?;
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        Ok(Self {
            key: DecodingKey::from_secret(secret.as_bytes()),
            validation,
            users: (0..users).map(user).collect(),
            members: Mutex::new(Members {
                senders: HashMap::new(),
                online: HashMap::new(),
                next_key: 0,
            }),
        })
    }

    /// The user whose token this is.
    fn verify(&self, token: &str) -> Option<String> {
        let token = jsonwebtoken::decode::<Claims>(token, &self.key, &self.validation).ok()?;
        let user = token.claims.sub;
        self.users.contains_key(&user).then_some(user)
    }

    fn members(&self) -> MutexGuard<'_, Members<M>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `aa`, `ab` and so on to `zz`: users are few, and their tokens short.
fn user(number: usize) -> (String, User) {
    let letter = |number: usize| char::from(b'a' + (number % 26) as u8);
    let id: String = [letter(number / 26), letter(number)].iter().collect();
    let user = User {
        name: format!("User {id}"),
        created_at: CREATED_AT,
    };
    (id, user)
}

/// What must stand in a token beside `exp`, which the library looks at.
#[derive(Deserialize)]
struct Claims {
    sub: String,
}

/// A connection; logged in from its first verified frame until it is dropped.
pub struct Connection<M> {
    service: Arc<Service<M>>,
    sender: UnboundedSender<M>,
    member: Option<Member>,
}

struct Member {
    key: u64,
    user: String,
}

/// A frame was refused: the error to be sent before the Close.
pub struct Refusal(pub String);

/// What a client sends.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    token: Cow<'a, str>,
    #[serde(borrow)]
    event: Cow<'a, str>,
    id: Option<Value>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// What it gets in return.
#[derive(Serialize)]
struct Reply<'a, D> {
    event: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Value>,
    data: D,
}

#[derive(Deserialize)]
struct Wanted<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Found<'a> {
    id: &'a str,
    name: &'a str,
    created_at: u64,
    online: bool,
}

#[derive(Serialize)]
struct Broadcast<'a> {
    event: &'a str,
    from: &'a str,
    data: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Delivered {
    delivered: usize,
}

#[derive(Serialize)]
struct Failure {
    code: &'static str,
    reason: &'static str,
}

impl<M: Clone + From<String>> Connection<M> {
    /// A connection that gets broadcasts by `sender`.
    pub fn new(service: Arc<Service<M>>, sender: UnboundedSender<M>) -> Self {
        Self {
            service,
            sender,
            member: None,
        }
    }

    /// Does what a frame asks for, and returns what is to be sent back.
    ///
    /// # Errors
    ///
    /// When its token does not let it; then the connection must be closed.
    pub fn answer(&mut self, text: &str) -> Result<Option<String>, Refusal> {
        let frame: Frame = serde_json::from_str(text).map_err(|_| refusal(None))?;
        let user = match self.service.verify(&frame.token) {
            Some(user) if self.is_open_to(&user) => user,
            _ => return Err(refusal(frame.id)),
        };
        if self.member.is_none() {
            self.enter(&user);
        }
        Ok(match &*frame.event {
            "getUser" => Some(self.user(frame.id, frame.data)),
            "message" => self.broadcast(&user, frame.id, frame.data),
            _ => Some(failure(frame.id, "unknown_event", "no such event")),
        })
    }

    /// The first token binds a connection to its user.
    fn is_open_to(&self, user: &str) -> bool {
        self.member
            .as_ref()
            .is_none_or(|member| member.user == user)
    }

    fn enter(&mut self, user: &str) {
        let mut members = self.service.members();
        let key = members.next_key;
        members.next_key += 1;
        members.senders.insert(key, self.sender.clone());
        *members.online.entry(user.to_owned()).or_default() += 1;
        self.member = Some(Member {
            key,
            user: user.to_owned(),
        });
    }

    fn user(&self, id: Option<Value>, data: Option<&RawValue>) -> String {
        let Some(wanted) = data.and_then(|data| serde_json::from_str::<Wanted>(data.get()).ok())
        else {
            return failure(id, "bad_data", "data is {\"id\"}");
        };
        let Some(user) = self.service.users.get(&*wanted.id) else {
            return failure(id, "not_found", "no such user");
        };
        let data = Found {
            id: &wanted.id,
            name: &user.name,
            created_at: user.created_at,
            online: self.service.members().online.contains_key(&*wanted.id),
        };
        reply("getUser", id, data)
    }

    fn broadcast(&self, from: &str, id: Option<Value>, data: Option<&RawValue>) -> Option<String> {
        let event = "message";
        let text = M::from(to_text(&Broadcast { event, from, data }));
        let members = self.service.members();
        let sent = members
            .senders
            .values()
            .filter(|sender| sender.send(text.clone()).is_ok());
        let delivered = sent.count();
        id.map(|id| reply(event, Some(id), Delivered { delivered }))
    }
}

impl<M> Drop for Connection<M> {
    fn drop(&mut self) {
        let Some(member) = self.member.take() else {
            return;
        };
        let mut members = self.service.members();
        members.senders.remove(&member.key);
        if let Some(count) = members.online.get_mut(&member.user) {
            *count -= 1;
            if *count == 0 {
                members.online.remove(&member.user);
            }
        }
    }
}

fn refusal(id: Option<Value>) -> Refusal {
    Refusal(failure(id, "unauthorized", REASON))
}

fn failure(id: Option<Value>, code: &'static str, reason: &'static str) -> String {
    reply("error", id, Failure { code, reason })
}

fn reply(event: &str, id: Option<Value>, data: impl Serialize) -> String {
    to_text(&Reply { event, id, data })
}

fn to_text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("only maps with keys that are no strings fail")
}
