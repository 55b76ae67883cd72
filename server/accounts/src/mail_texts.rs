//! What the mails say.
//!
//! Nothing in them but the link, the user id and the server's name; no text that somebody else has typed.

use crate::{
    mail::Mail,
    mail_proofs::{ProofRow, Purpose},
};

/// Where links lead, behind the public URL.
const PAGE: &str = "/account/mail?token=";

pub(crate) fn proof(to: &str, proof: &ProofRow, token: &str, public_url: &str) -> Mail {
    let link = format!("{public_url}{PAGE}{token}");
    let (subject, what) = match proof.purpose {
        Purpose::Register => ("Confirm your e-mail address", "make an account with this address"),
        Purpose::AddAddress | Purpose::Verify => {
            ("Confirm your e-mail address", "use this address for an account")
        }
        Purpose::ConfirmReset | Purpose::NewPassword => ("Set a new password", "set a new password"),
    };
    let text = format!(
        "Somebody, most likely you, asked to {what} on {public_url}.\n\n\
         If it was you, open this page and go on there:\n\n{link}\n\n\
         The link is good for one hour and once. If it was not you, do nothing: nothing will change.\n"
    );
    Mail { to: to.to_owned(), subject: subject.to_owned(), text }
}

pub(crate) fn in_use(to: &str, user_id: &str) -> Mail {
    let text = format!(
        "Somebody asked to use this address for another account, but it belongs to {user_id} already.\n\n\
         If it was you, log in there, or ask for a new password. If it was not, do nothing.\n"
    );
    Mail { to: to.to_owned(), subject: "You have an account already".to_owned(), text }
}

pub(crate) fn password_changed(to: &str, user_id: &str) -> Mail {
    let text = format!(
        "The password of {user_id} was changed.\n\n\
         If it was not you, ask for a new password now, and tell the administrator of your server.\n"
    );
    Mail { to: to.to_owned(), subject: "Your password was changed".to_owned(), text }
}
