//! Both sides against each other, and each rule with what it refuses.
