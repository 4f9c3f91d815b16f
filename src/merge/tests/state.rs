//! What a state offers besides its content.
