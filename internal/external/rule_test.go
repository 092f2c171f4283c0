package external

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/truekeel/auth/fault"
	"github.com/truekeel/auth/store"
)

var confirmed = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

func person(mail string, at time.Time) *store.User {
	return &store.User{ID: uuid.New(), Email: mail, EmailConfirmedAt: at}
}

// logins are the four words that a provider may have for an address. A provider that is
// the authority for the domain gives no more than one that vouches for the address.
func logins() map[string]login {
	const address = "ada@example.com"
	return map[string]login{
		"absent":        {Optional: true},
		"unverified":    {Address: address, Emails: []string{address}},
		"verified":      {Address: address, Proved: true, Emails: []string{address}, Verified: []string{address}},
		"authoritative": {Address: address, Proved: true, Emails: []string{address}, Verified: []string{address}, Issuer: "https://example.com"},
	}
}

// rows are the four ways in which the address may be known to us.
func rows() map[string]*store.User {
	squatted := person("ada@example.com", time.Time{})
	squatted.PasswordHash = "a squatter's"
	return map[string]*store.User{
		"none": nil, "unverified with password": squatted,
		"unverified without credential": person("ada@example.com", time.Time{}), "verified": person("ada@example.com", confirmed),
	}
}

// TestDecide is the linking rule: what a new identity becomes, by what the provider says
// of the address, who has it, and who is signed in.
func TestDecide(t *testing.T) {
	const everything = `
		absent        | none                          | nobody | create
		absent        | none                          | same   | linkToTarget
		absent        | none                          | other  | linkToTarget
		absent        | unverified with password      | nobody | create
		absent        | unverified with password      | same   | linkToTarget
		absent        | unverified with password      | other  | linkToTarget
		absent        | unverified without credential | nobody | create
		absent        | unverified without credential | same   | linkToTarget
		absent        | unverified without credential | other  | linkToTarget
		absent        | verified                      | nobody | create
		absent        | verified                      | same   | linkToTarget
		absent        | verified                      | other  | linkToTarget
		unverified    | none                          | nobody | createAsk
		unverified    | none                          | same   | linkToTarget
		unverified    | none                          | other  | linkToTarget
		unverified    | unverified with password      | nobody | tellHolder
		unverified    | unverified with password      | same   | linkToTarget
		unverified    | unverified with password      | other  | linkToTarget
		unverified    | unverified without credential | nobody | tellHolder
		unverified    | unverified without credential | same   | linkToTarget
		unverified    | unverified without credential | other  | linkToTarget
		unverified    | verified                      | nobody | tellHolder
		unverified    | verified                      | same   | linkToTarget
		unverified    | verified                      | other  | linkToTarget
		verified      | none                          | nobody | create
		verified      | none                          | same   | linkToTarget
		verified      | none                          | other  | linkToTarget
		verified      | unverified with password      | nobody | takeOver
		verified      | unverified with password      | same   | linkToTarget
		verified      | unverified with password      | other  | linkToTarget
		verified      | unverified without credential | nobody | takeOver
		verified      | unverified without credential | same   | linkToTarget
		verified      | unverified without credential | other  | linkToTarget
		verified      | verified                      | nobody | link
		verified      | verified                      | same   | linkToTarget
		verified      | verified                      | other  | linkToTarget
		authoritative | none                          | nobody | create
		authoritative | none                          | same   | linkToTarget
		authoritative | none                          | other  | linkToTarget
		authoritative | unverified with password      | nobody | takeOver
		authoritative | unverified with password      | same   | linkToTarget
		authoritative | unverified with password      | other  | linkToTarget
		authoritative | unverified without credential | nobody | takeOver
		authoritative | unverified without credential | same   | linkToTarget
		authoritative | unverified without credential | other  | linkToTarget
		authoritative | verified                      | nobody | link
		authoritative | verified                      | same   | linkToTarget
		authoritative | verified                      | other  | linkToTarget`
	verdicts := map[string]verdict{
		"create": create, "createAsk": createAsk, "link": link, "takeOver": takeOver, "tellHolder": tellHolder, "linkToTarget": linkToTarget,
	}
	cases := 0
	for line := range strings.SplitSeq(strings.TrimSpace(everything), "\n") {
		cell := strings.Split(line, "|")
		for i := range cell {
			cell[i] = strings.TrimSpace(cell[i])
		}
		at := situation{login: logins()[cell[0]]}
		if at.login.Address != "" {
			at.holder = rows()[cell[1]]
		}
		switch cell[2] {
		case "same":
			at.target = at.holder
			if at.target == nil {
				at.target = person("ada@example.org", confirmed)
			}
		case "other":
			at.target = person("eve@example.com", confirmed)
		}
		got, err := decide(at)
		require.NoError(t, err, line)
		require.Equal(t, verdicts[cell[3]], got, line)
		cases++
	}
	require.Equal(t, 4*4*3, cases)
}

// TestDecideKnown is the rule for an identity that is somebody's already.
func TestDecideKnown(t *testing.T) {
	settled, waiting, nameless := person("ada@example.com", confirmed), person("ada@example.com", time.Time{}), person("", time.Time{})
	other := login{Address: "eve@example.com", Proved: true, Verified: []string{"eve@example.com"}}
	for name, c := range map[string]struct {
		at   situation
		want verdict
		err  *fault.Error
	}{
		"confirmed, whatever the provider says":         {situation{login: other, owner: settled}, enter, nil},
		"confirmed, without an address":                 {situation{login: login{}, owner: settled}, enter, nil},
		"without an address of its own":                 {situation{login: other, owner: nameless}, enter, nil},
		"unconfirmed, its own address is vouched for":   {situation{login: logins()["verified"], owner: waiting}, proveOwner, nil},
		"unconfirmed, another address is vouched for":   {situation{login: other, owner: waiting}, askOwner, nil},
		"unconfirmed, nothing is vouched for":           {situation{login: logins()["unverified"], owner: waiting}, askOwner, nil},
		"the address is another's who has proved it":    {situation{login: logins()["verified"], owner: settled, holder: person("ada@example.com", confirmed)}, enter, nil},
		"linked already":                                {situation{login: other, owner: settled, target: settled}, 0, errLinked},
		"linked to another":                             {situation{login: other, owner: settled, target: waiting}, 0, errLinkedToElse},
		"no address where one is needed":                {situation{login: login{}}, 0, errNoAddress},
		"no address where one is needed, but to link":   {situation{login: login{}, target: settled}, linkToTarget, nil},
		"an unproved address on the account of a phone": {situation{login: logins()["verified"], holder: &store.User{Email: "ada@example.com", PhoneConfirmedAt: confirmed}}, 0, errHeldByPhone},
	} {
		got, err := decide(c.at)
		if c.err != nil {
			require.Equal(t, c.err, err, name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, c.want, got, name)
	}
}
