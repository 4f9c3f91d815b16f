//! pushing
