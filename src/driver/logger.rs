//! stub
/// stub
pub fn escape(s: &str) -> String {
    s.escape_debug().to_string()
}
