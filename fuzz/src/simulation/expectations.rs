//! Whether what a peer hears is what it is owed.

use serde_json::Value;

use framegate::internals::time::Instant;

use super::link::{Expected, Link, Login, Over, Stage};
use super::people::{MARK, id_of};
use crate::client_parser::Received;

impl Link {
    /// Bytes came from the server.
    ///
    /// # Errors
    /// When they are not what the peer is owed.
    pub(super) fn hear(&mut self, bytes: &[u8], now: Instant) -> Result<(), String> {
        self.heard.hear(bytes);
        while let Some(received) = self.heard.next()? {
            if matches!(received, Received::Ping) {
                self.asked_at = Some(now);
            }
            self.expect_received(received)?;
        }
        Ok(())
    }

    fn expect_received(&mut self, received: Received) -> Result<(), String> {
        if self.heard_error && !matches!(received, Received::Close(_)) {
            return Err("something but a Close came behind the last error".to_owned());
        }
        match received {
            Received::Answer { status, body } => {
                if body.contains(MARK) {
                    return Err("a secret is told".to_owned());
                }
                if let Stage::Waiting { by } = self.stage {
                    self.stage = Stage::Over(Over {
                        at: by,
                        error: None,
                        close: None,
                        is_cut: false,
                    });
                }
                self.expect(
                    "an HTTP answer",
                    |what| matches!(what, Expected::Answer(statuses) if statuses.contains(&status)),
                )
            }
            Received::Ping => {
                self.is_asked = true;
                Ok(())
            }
            Received::Pong(payload) => self.expect(
                "a Pong",
                |what| matches!(what, Expected::Pong(ping) if *ping == payload),
            ),
            Received::Text(text) => {
                let json = serde_json::from_str(&text);
                self.expect_text(&json.map_err(|error| format!("a Text message: {error}"))?)
            }
            Received::Close(close) => self.expect_close(close.map(|(code, _)| code)),
        }
    }

    fn expect_close(&mut self, code: Option<u16>) -> Result<(), String> {
        self.heard_close = true;
        let Stage::Over(over) = self.stage else {
            return Err("a Close came for no reason".to_owned());
        };
        if over.close != Some(code) {
            return Err(format!(
                "a Close with {code:?}, where {:?} was due",
                over.close
            ));
        }
        if over.error.is_some() != self.heard_error {
            return Err("a Close without its error, or with one too many".to_owned());
        }
        self.is_settled(over)
    }

    /// Nothing it was owed for sure has been left out.
    fn is_settled(&self, over: Over) -> Result<(), String> {
        match self.owed.iter().find(|owed| owed.is_sure) {
            Some(owed) if !over.is_cut => Err(format!("{:?} never came", owed.what)),
            _ => Ok(()),
        }
    }

    fn expect_text(&mut self, json: &Value) -> Result<(), String> {
        let event = json["event"].as_str().unwrap_or_default();
        let id = json["id"].as_u64().and_then(|id| u32::try_from(id).ok());
        if event != "login" && event != "refresh" {
            let said = json.to_string();
            if said.contains(MARK) || said.contains("eyJ") {
                return Err("a secret or a token is told".to_owned());
            }
        }
        let data = &json["data"];
        match (event, id) {
            ("message", None) => self.expect_broadcast(json),
            ("error", _) => self.expect_error(id, data["code"].as_str().unwrap_or_default(), data),
            ("login", Some(id)) => {
                let is_granted = self.take_login(id).is_some_and(|login| login.is_right);
                let grants = self.grants.checked_sub(1).filter(|_| is_granted);
                self.grants = grants.ok_or("a login is answered that was not granted")?;
                self.take_new_token(data)
            }
            (_, Some(id)) => self.expect_reply(event, id, data),
            (_, None) => Err(format!("{json} is for nobody")),
        }
    }

    fn expect_broadcast(&mut self, json: &Value) -> Result<(), String> {
        let said = (json["data"]["n"].as_u64(), json["from"].as_str());
        self.expect("a broadcast", |what| match what {
            Expected::Broadcast { nonce, from } => {
                said == (Some(u64::from(*nonce)), Some(id_of(*from)))
            }
            _ => false,
        })
        .map_err(|error| format!("{error}: {json}"))
    }

    fn expect_reply(&mut self, said: &str, said_id: u32, data: &Value) -> Result<(), String> {
        self.expect("a reply", |what| match what {
            Expected::Reply {
                id,
                event,
                delivered,
                is_online,
                ..
            } => {
                let count = data["delivered"].as_u64().unwrap_or_default();
                *id == said_id
                    && *event == said
                    && delivered.is_none_or(|(min, max)| (min..=max).contains(&count))
                    && is_online.is_none_or(|online| data["online"].as_bool() == Some(online))
            }
            _ => false,
        })
        .map_err(|error| format!("{error}: {said} {said_id} {data}"))?;
        match said {
            "refresh" => self.take_new_token(data),
            _ => Ok(()),
        }
    }

    fn take_new_token(&mut self, data: &Value) -> Result<(), String> {
        let token = data["token"].as_str().ok_or("no token is given")?;
        self.new_tokens.push(token.to_owned());
        Ok(())
    }

    fn expect_error(&mut self, id: Option<u32>, code: &str, data: &Value) -> Result<(), String> {
        if let Stage::Over(Over {
            error: Some(last), ..
        }) = self.stage
            && last == code
            // A login whose user's tokens are void for a while is told for how long.
            && (data["retryAfter"].is_null() || code == "unavailable")
            && !self.is_owed_error(code)
        {
            self.heard_error = true;
            return Ok(());
        }
        if let Some(login) = id.and_then(|id| self.take_login(id)) {
            return self.expect_login_error(login, code);
        }
        let is_limit = code == "rate_limited" && data["retryAfter"].is_u64();
        self.expect("an error", |what| match what {
            Expected::Reply {
                id: asked, errors, ..
            } => Some(*asked) == id && errors.contains(&code),
            Expected::Limit { id: asked } => is_limit && *asked == id,
            _ => false,
        })
        .map_err(|error| format!("{error}: {code} {id:?}"))
    }

    /// Whether this error keeps the connection: only the last of three wrong passwords does not.
    fn is_owed_error(&self, code: &str) -> bool {
        code == "login_failed" && self.denials > 1
    }

    fn take_login(&mut self, id: u32) -> Option<Login> {
        let at = self.logins.iter().position(|login| login.id == id)?;
        Some(self.logins.remove(at))
    }

    fn expect_login_error(&mut self, login: Login, code: &str) -> Result<(), String> {
        match code {
            // Not begun.
            "busy" | "rate_limited" => Ok(()),
            "login_failed" if self.denials > 0 => {
                self.denials -= 1;
                Ok(())
            }
            _ => Err(format!("the login {} ended with {code}", login.id)),
        }
    }

    /// Takes what came off what is owed; what need not come may have been left out before it.
    fn expect(&mut self, came: &str, matches: impl Fn(&Expected) -> bool) -> Result<(), String> {
        while let Some(owed) = self.owed.pop_front() {
            if matches(&owed.what) {
                return Ok(());
            }
            if owed.is_sure {
                return Err(format!("{came} came where {:?} was due", owed.what));
            }
        }
        Err(format!("{came} came that was not due"))
    }

    /// The server has sent its FIN: everything before it has been taken.
    ///
    /// # Errors
    /// When something is missing.
    pub(super) fn hear_fin(&mut self) -> Result<(), String> {
        self.has_fin = true;
        let Stage::Over(over) = self.stage else {
            return Err("a FIN came for no reason".to_owned());
        };
        if self.heard.is_unfinished() {
            return Err("a FIN came in the middle of something".to_owned());
        }
        if over.close.is_some() && !self.heard_close {
            return Err("a FIN came without a Close".to_owned());
        }
        self.is_settled(over)
    }
}
