//! The rules of `m.room.member`: who may join, invite, leave, kick, ban and knock.
//!
//! **Source**: Matrix v1.19, "Authorization rules", `m.room.member`.

use ruma::UserId;

use super::{Power, allowed_in_general, needed, power_of};
use crate::resolve::{
    facts::{Creators, Field, JoinRule, Level, Levels, Malformed, Member, Membership},
    iterative::View,
};

/// A membership event with what its rules read.
struct Change<'a> {
    view: &'a View<'a>,
    member: &'a Member,
    target: &'a UserId,
    creators: Field<&'a Creators>,
}

/// Whether the rules allow this membership event.
pub(super) fn allowed(view: &View<'_>, member: &Member, creators: Field<&Creators>) -> Field<bool> {
    let target = if view.event.state_key() == view.event.sender().as_str() {
        view.event.sender()
    } else {
        <&UserId>::try_from(view.event.state_key()).map_err(|_| Malformed)?
    };
    let change = Change { view, member, target, creators };
    match member.membership? {
        Membership::Join => change.join(),
        Membership::Invite => change.invite(),
        Membership::Leave => change.leave(),
        Membership::Ban => change.ban(),
        Membership::Knock if view.room.rules.knocking => change.knock(),
        Membership::Knock | Membership::Other => Ok(false),
    }
}

impl<'a> Change<'a> {
    fn is_of_sender(&self) -> bool {
        self.view.event.sender() == self.target
    }

    fn sender_membership(&self) -> Field<Membership> {
        self.view.membership(self.view.event.sender_key())
    }

    fn target_membership(&self) -> Field<Membership> {
        self.view.membership(Some(self.view.event.key))
    }

    fn power(&self, levels: Option<&Levels>, user: &UserId) -> Field<Power> {
        power_of(self.view.room.rules, levels, user, self.creators?)
    }

    fn join(&self) -> Field<bool> {
        let rules = self.view.room.rules;
        // A vouching user that cannot be read leaves open what the event has to cite.
        let via = match &self.member.via {
            Ok(via) => via.as_deref(),
            Err(Malformed) if rules.restricted_join_rule => return Ok(false),
            Err(Malformed) => None,
        };
        if *self.target == *self.creators?.creator && self.follows_create() {
            return Ok(true);
        }
        if !self.is_of_sender() {
            return Ok(false);
        }
        let current = self.target_membership()?;
        if current == Membership::Ban {
            return Ok(false);
        }
        let was_let_in = matches!(current, Membership::Invite | Membership::Join);
        match self.view.join_rule()? {
            JoinRule::Public => Ok(true),
            JoinRule::Invite => Ok(was_let_in),
            JoinRule::Knock => Ok(rules.knocking && was_let_in),
            JoinRule::Restricted if rules.restricted_join_rule => self.restricted_join(was_let_in, via),
            JoinRule::KnockRestricted if rules.knock_restricted_join_rule => {
                self.restricted_join(was_let_in, via)
            }
            JoinRule::Restricted | JoinRule::KnockRestricted | JoinRule::Other => Ok(false),
        }
    }

    /// Whether it is the first event after the create event.
    fn follows_create(&self) -> bool {
        let create = self.view.find(crate::resolve::keys::KeyNo::CREATE);
        match (self.view.event.pdu.prev_events(), create) {
            ([prev], Some(create)) => prev == create.pdu.event_id(),
            _ => false,
        }
    }

    fn restricted_join(&self, was_let_in: bool, via: Option<&UserId>) -> Field<bool> {
        if was_let_in {
            return Ok(true);
        }
        let Some(via) = via else { return Ok(false) };
        if self.view.membership(self.view.event.via_key())? != Membership::Join {
            return Ok(false);
        }
        let levels = self.view.levels();
        Ok(self.power(levels, via)? >= needed(levels, Level::Invite)?)
    }

    fn invite(&self) -> Field<bool> {
        if self.member.by_third_party {
            return Ok(allowed_in_general(self.view));
        }
        let is_there = matches!(self.target_membership()?, Membership::Join | Membership::Ban);
        if self.sender_membership()? != Membership::Join || is_there {
            return Ok(false);
        }
        let levels = self.view.levels();
        Ok(self.power(levels, self.view.event.sender())? >= needed(levels, Level::Invite)?)
    }

    fn leave(&self) -> Field<bool> {
        let sender = self.sender_membership()?;
        if self.is_of_sender() {
            return Ok(match sender {
                Membership::Join | Membership::Invite => true,
                Membership::Knock => self.view.room.rules.knocking,
                _ => false,
            });
        }
        if sender != Membership::Join {
            return Ok(false);
        }
        let levels = self.view.levels();
        let power = self.power(levels, self.view.event.sender())?;
        let may_ban = power >= needed(levels, Level::Ban)?;
        if self.target_membership()? == Membership::Ban && !may_ban {
            return Ok(false);
        }
        Ok(power >= needed(levels, Level::Kick)? && self.power(levels, self.target)? < power)
    }

    fn ban(&self) -> Field<bool> {
        if self.sender_membership()? != Membership::Join {
            return Ok(false);
        }
        let levels = self.view.levels();
        let power = self.power(levels, self.view.event.sender())?;
        Ok(power >= needed(levels, Level::Ban)? && self.power(levels, self.target)? < power)
    }

    fn knock(&self) -> Field<bool> {
        let may_knock = match self.view.join_rule()? {
            JoinRule::Knock => true,
            JoinRule::KnockRestricted => self.view.room.rules.knock_restricted_join_rule,
            _ => false,
        };
        let is_there =
            matches!(self.sender_membership()?, Membership::Ban | Membership::Invite | Membership::Join);
        Ok(may_knock && self.is_of_sender() && !is_there)
    }
}
