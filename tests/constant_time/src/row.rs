//! A row of the table.

use std::fmt;

/// What is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// framegate, of which nothing must be seen.
    Program,
    /// A comparison that leaks, and must be caught.
    Control,
}

/// What one check saw.
pub struct Row {
    pub way: &'static str,
    pub check: &'static str,
    pub of: Of,
    pub level: String,
    pub seen: String,
    /// What must be seen of the program.
    pub bound: String,
    pub leaks: bool,
}

impl Row {
    pub fn holds(&self) -> bool {
        self.leaks == (self.of == Of::Control)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row {
            way,
            check,
            level,
            seen,
            ..
        } = self;
        let bound = match self.of {
            Of::Program => self.bound.clone(),
            Of::Control => format!("not: {}", self.bound),
        };
        let verdict = match (self.of, self.leaks) {
            (Of::Program, false) => "clean",
            (Of::Program, true) => "**LEAKS**",
            (Of::Control, true) => "caught",
            (Of::Control, false) => "**MISSED**",
        };
        write!(
            f,
            "| {way} | {check} | {level} | {seen} | {bound} | {verdict} |"
        )
    }
}
