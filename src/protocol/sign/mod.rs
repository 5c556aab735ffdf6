//! Signatures: a file per scheme. Time, nonce and credentials are arguments; nothing is looked up.
