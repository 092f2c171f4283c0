package providers

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
)

// This file holds the providers that are OAuth 2 with a profile in JSON, by name.

// Amazon signs in with Amazon ("Login with Amazon").
func Amazon(clientID, secret string, opts ...Option) Provider {
	return named("amazon", clientID, secret, opts)
}

func amazon() Spec {
	return Spec{
		Name:     "amazon",
		AuthURL:  "https://www.amazon.com/ap/oa",
		TokenURL: "https://api.amazon.com/auth/o2/token",
		UserURL:  "https://api.amazon.com/user/profile",
		Scopes:   []string{"profile"},
		Auth:     AuthBody,
		NoPKCE:   true,
		Emails:   EmailUnproven,
		Map: func(j JSON) Profile {
			return Profile{Subject: j.ID("user_id"), Name: j.Text("name"), Emails: OneEmail(j.Text("email"), false)}
		},
	}
}

// Atlassian signs in with an Atlassian account.
func Atlassian(clientID, secret string, opts ...Option) Provider {
	return named("atlassian", clientID, secret, opts)
}

func atlassian() Spec {
	return Spec{
		Name:     "atlassian",
		AuthURL:  "https://auth.atlassian.com/authorize",
		TokenURL: "https://auth.atlassian.com/oauth/token",
		UserURL:  "https://api.atlassian.com/me",
		Scopes:   []string{"read:me"},
		Params:   map[string]string{"audience": "api.atlassian.com", "prompt": "consent"},
		Auth:     AuthBody,
		Emails:   EmailUnproven,
		Map: func(j JSON) Profile {
			return Profile{
				Subject: j.ID("account_id"), Name: j.Text("name"), Avatar: j.Text("picture"),
				Emails: OneEmail(j.Text("email"), false),
				Claims: map[string]any{"nickname": j.Text("nickname")},
			}
		},
	}
}

// Bitbucket signs in with Bitbucket. Addresses count as verified as Bitbucket confirmed
// them.
func Bitbucket(clientID, secret string, opts ...Option) Provider {
	return named("bitbucket", clientID, secret, opts)
}

func bitbucket() Spec {
	return Spec{
		Name:      "bitbucket",
		AuthURL:   "https://bitbucket.org/site/oauth2/authorize",
		TokenURL:  "https://bitbucket.org/site/oauth2/access_token",
		UserURL:   "https://api.bitbucket.org/2.0/user",
		EmailsURL: "https://api.bitbucket.org/2.0/user/emails",
		Scopes:    []string{"account", "email"},
		Auth:      AuthBasic,
		NoPKCE:    true,
		Map: func(j JSON) Profile {
			avatar := j.Text("links", "avatar", "href")
			if avatar == "" {
				avatar = j.Text("avatar", "href")
			}
			return Profile{Subject: j.Text("uuid"), Name: j.Text("display_name"), Avatar: avatar}
		},
		MapEmails: func(j JSON) []Email {
			var emails []Email
			for _, e := range j.List("values") {
				emails = append(emails, Email{e.Text("email"), e.Bool("is_confirmed"), e.Bool("is_primary")})
			}
			return emails
		},
	}
}

// Discord signs in with Discord.
func Discord(clientID, secret string, opts ...Option) Provider {
	return named("discord", clientID, secret, opts)
}

func discord() Spec {
	return Spec{
		Name:     "discord",
		AuthURL:  "https://discord.com/api/oauth2/authorize",
		TokenURL: "https://discord.com/api/oauth2/token",
		UserURL:  "https://discord.com/api/users/@me",
		Scopes:   []string{"email", "identify"},
		Auth:     AuthBody,
		Map: func(j JSON) Profile {
			name, tag := j.Text("username"), j.Text("discriminator")
			if name != "" && tag != "" && tag != "0" {
				name += "#" + tag
			}
			return Profile{
				Subject: j.ID("id"), Name: name, UserName: j.Text("username"), Avatar: discordAvatar(j),
				Emails: OneEmail(j.Text("email"), j.Bool("verified")),
				Claims: map[string]any{
					"full_name":     j.Text("username"),
					"custom_claims": some("global_name", j.Text("global_name")),
				},
			}
		},
	}
}

// discordAvatar is the picture, or the one that Discord shows in its place: chosen by
// the discriminator, or by the id for accounts that have none any more.
func discordAvatar(j JSON) string {
	id, hash := j.ID("id"), j.Text("avatar")
	if hash != "" {
		suffix := ".png"
		if strings.HasPrefix(hash, "a_") {
			suffix = ".gif"
		}
		return "https://cdn.discordapp.com/avatars/" + url.PathEscape(id) + "/" + url.PathEscape(hash) + suffix
	}
	number, _ := strconv.ParseUint(id, 10, 64)
	shown := (number >> 22) % 6
	if tag, err := strconv.ParseUint(j.Text("discriminator"), 10, 32); err == nil && tag != 0 {
		shown = tag % 5
	}
	return "https://cdn.discordapp.com/embed/avatars/" + strconv.FormatUint(shown, 10) + ".png"
}

// Dropbox signs in with Dropbox.
func Dropbox(clientID, secret string, opts ...Option) Provider {
	return named("dropbox", clientID, secret, opts)
}

func dropbox() Spec {
	return Spec{
		Name:       "dropbox",
		AuthURL:    "https://www.dropbox.com/oauth2/authorize",
		TokenURL:   "https://api.dropboxapi.com/oauth2/token",
		UserURL:    "https://api.dropboxapi.com/2/users/get_current_account",
		UserMethod: "POST",
		Scopes:     []string{"account_info.read"},
		Auth:       AuthBasic,
		Map: func(j JSON) Profile {
			return Profile{
				Subject: j.Text("account_id"), Name: j.Text("name", "display_name"), Avatar: j.Text("profile_photo_url"),
				Emails: OneEmail(j.Text("email"), j.Bool("email_verified")),
			}
		},
	}
}

// Figma signs in with Figma, which gives no evidence for its addresses.
func Figma(clientID, secret string, opts ...Option) Provider {
	return named("figma", clientID, secret, opts)
}

func figma() Spec {
	return Spec{
		Name:     "figma",
		AuthURL:  "https://www.figma.com/oauth",
		TokenURL: "https://api.figma.com/v1/oauth/token",
		UserURL:  "https://api.figma.com/v1/me",
		Scopes:   []string{"current_user:read"},
		Auth:     AuthBasic,
		Emails:   EmailUnproven,
		Map: func(j JSON) Profile {
			return Profile{
				Subject: j.ID("id"), Name: j.Text("handle"), Avatar: j.Text("img_url"),
				Emails: OneEmail(j.Text("email"), false),
			}
		},
	}
}

// Fly signs in with Fly.io, which gives no evidence for its addresses.
func Fly(clientID, secret string, opts ...Option) Provider {
	return named("fly", clientID, secret, opts)
}

func fly() Spec {
	return Spec{
		Name:     "fly",
		AuthURL:  "https://api.fly.io/oauth/authorize",
		TokenURL: "https://api.fly.io/oauth/token",
		UserURL:  "https://api.fly.io/oauth/token/info",
		Scopes:   []string{"read"},
		Auth:     AuthBody,
		NoPKCE:   true,
		Emails:   EmailUnproven,
		Map: func(j JSON) Profile {
			custom := make(map[string]any)
			for _, name := range []string{"resource_owner_id", "organizations", "application", "scope", "created_at"} {
				if j.Has(name) {
					custom[name] = j.Value(name)
				}
			}
			return Profile{
				Subject: j.ID("user_id"), Name: j.Text("user_name"), Emails: OneEmail(j.Text("email"), false),
				Claims: map[string]any{"custom_claims": custom},
			}
		},
	}
}

// GitHub signs in with GitHub; WithURL names an Enterprise server.
func GitHub(clientID, secret string, opts ...Option) Provider {
	return named("github", clientID, secret, opts)
}

func gitHub() Spec {
	return Spec{
		Name:      "github",
		AuthURL:   "https://github.com/login/oauth/authorize",
		TokenURL:  "https://github.com/login/oauth/access_token",
		UserURL:   "https://api.github.com/user",
		EmailsURL: "https://api.github.com/user/emails",
		Scopes:    []string{"user:email"},
		Auth:      AuthBody,
		Map: func(j JSON) Profile {
			// The address in here is the public one, without a flag.
			return Profile{
				Subject: j.ID("id"), Name: j.Text("name"), UserName: j.Text("login"), Avatar: j.Text("avatar_url"),
			}
		},
		MapEmails: forgeEmails,
	}
}

// forgeEmails reads the list that GitHub and Gitea give.
func forgeEmails(j JSON) []Email {
	var emails []Email
	for _, e := range j.List() {
		emails = append(emails, Email{e.Text("email"), e.Bool("verified"), e.Bool("primary")})
	}
	return emails
}

// onGitHubServer puts GitHub's addresses on an Enterprise server, whose API is below
// /api/v3.
func onGitHubServer(s *Spec, base string) error {
	s.UserURL, s.EmailsURL = "https://api.github.com/api/v3/user", "https://api.github.com/api/v3/user/emails"
	return s.rebase(base)
}

// GitLab signs in with GitLab; WithURL names a self-managed one.
func GitLab(clientID, secret string, opts ...Option) Provider {
	return named("gitlab", clientID, secret, opts)
}

func gitLab() Spec {
	return Spec{
		Name:      "gitlab",
		AuthURL:   "https://gitlab.com/oauth/authorize",
		TokenURL:  "https://gitlab.com/oauth/token",
		UserURL:   "https://gitlab.com/api/v4/user",
		EmailsURL: "https://gitlab.com/api/v4/user/emails",
		Scopes:    []string{"read_user"},
		Auth:      AuthBody,
		Map: func(j JSON) Profile {
			return Profile{
				Subject: j.ID("id"), Name: j.Text("name"), UserName: j.Text("username"), Avatar: j.Text("avatar_url"),
				Emails: OneEmail(j.Text("email"), j.Text("confirmed_at") != ""),
			}
		},
		MapEmails: func(j JSON) []Email {
			var emails []Email
			for _, e := range j.List() {
				emails = append(emails, Email{Address: e.Text("email")})
			}
			return emails
		},
	}
}

// Gitea signs in with a Gitea, Forgejo or Codeberg server at base.
func Gitea(base, clientID, secret string, opts ...Option) Provider {
	return named("gitea", clientID, secret, append([]Option{WithURL(base)}, opts...))
}

func gitea() Spec {
	return Spec{
		Name:      "gitea",
		AuthURL:   "https://gitea.invalid/login/oauth/authorize",
		TokenURL:  "https://gitea.invalid/login/oauth/access_token",
		UserURL:   "https://gitea.invalid/api/v1/user",
		EmailsURL: "https://gitea.invalid/api/v1/user/emails",
		Scopes:    []string{"read:user", "user:email"},
		Auth:      AuthBody,
		Map: func(j JSON) Profile {
			return Profile{
				Subject: j.ID("id"), Name: j.Text("full_name"), UserName: j.Text("login"), Avatar: j.Text("avatar_url"),
			}
		},
		MapEmails: forgeEmails,
	}
}

// Kakao signs in with Kakao. An address counts as verified if Kakao says that it is
// both valid and verified.
func Kakao(clientID, secret string, opts ...Option) Provider {
	return named("kakao", clientID, secret, opts)
}

func kakao() Spec {
	return Spec{
		Name:     "kakao",
		AuthURL:  "https://kauth.kakao.com/oauth/authorize",
		TokenURL: "https://kauth.kakao.com/oauth/token",
		UserURL:  "https://kapi.kakao.com/v2/user/me",
		Issuer:   "https://kauth.kakao.com",
		Scopes:   []string{"account_email", "profile_image", "profile_nickname"},
		Auth:     AuthBody,
		Map: func(j JSON) Profile {
			account := j.At("kakao_account")
			verified := account.Bool("is_email_valid") && account.Bool("is_email_verified")
			nickname := account.Text("profile", "nickname")
			return Profile{
				Subject: j.ID("id"), Name: nickname, UserName: nickname,
				Avatar: account.Text("profile", "profile_image_url"),
				Emails: OneEmail(account.Text("email"), verified),
			}
		},
		hooks: hooks{mapIDToken: func(j JSON) Profile {
			return Profile{
				Subject: j.Text("sub"), Name: j.Text("nickname"), UserName: j.Text("nickname"), Avatar: j.Text("picture"),
				Emails: OneEmail(j.Text("email"), false), // the token has no flag
			}
		}},
	}
}

// Linear signs in with Linear, which gives no evidence for its addresses.
func Linear(clientID, secret string, opts ...Option) Provider {
	return named("linear", clientID, secret, opts)
}

func linear() Spec {
	return Spec{
		Name:       "linear",
		AuthURL:    "https://linear.app/oauth/authorize",
		TokenURL:   "https://api.linear.app/oauth/token",
		UserURL:    "https://api.linear.app/graphql",
		UserMethod: "POST",
		UserBody:   `{"query":"{ viewer { id name displayName email avatarUrl } }"}`,
		Scopes:     []string{"read"},
		Separator:  ",",
		Auth:       AuthBody,
		NoPKCE:     true,
		Emails:     EmailUnproven,
		Map: func(j JSON) Profile {
			j = j.At("data", "viewer")
			return Profile{
				Subject: j.ID("id"), Name: j.Text("name"), UserName: j.Text("displayName"), Avatar: j.Text("avatarUrl"),
				Emails: OneEmail(j.Text("email"), false),
			}
		},
	}
}

// Mastodon signs in with the Mastodon server at base. It gives no address: use it with
// WithEmailOptional.
func Mastodon(base, clientID, secret string, opts ...Option) Provider {
	return named("mastodon", clientID, secret, append([]Option{WithURL(base)}, opts...))
}

func mastodon() Spec {
	return Spec{
		Name:     "mastodon",
		AuthURL:  "https://mastodon.invalid/oauth/authorize",
		TokenURL: "https://mastodon.invalid/oauth/token",
		UserURL:  "https://mastodon.invalid/api/v1/accounts/verify_credentials",
		Scopes:   []string{"read:accounts"},
		Auth:     AuthBody,
		Map: func(j JSON) Profile {
			return Profile{
				Subject: j.ID("id"), Name: j.Text("display_name"), UserName: j.Text("username"), Avatar: j.Text("avatar"),
				Claims: map[string]any{"profile": j.Text("url")},
			}
		},
	}
}

// Naver signs in with Naver, which gives no evidence for its addresses.
func Naver(clientID, secret string, opts ...Option) Provider {
	return named("naver", clientID, secret, opts)
}

func naver() Spec {
	return Spec{
		Name:     "naver",
		AuthURL:  "https://nid.naver.com/oauth2.0/authorize",
		TokenURL: "https://nid.naver.com/oauth2.0/token",
		UserURL:  "https://openapi.naver.com/v1/nid/me",
		Auth:     AuthBody,
		NoPKCE:   true,
		Emails:   EmailUnproven,
		Map: func(j JSON) Profile {
			if j.Text("resultcode") != "00" {
				return Profile{}
			}
			j = j.At("response")
			return Profile{
				Subject: j.ID("id"), Name: j.Text("name"), Avatar: j.Text("profile_image"),
				Emails: OneEmail(j.Text("email"), false),
				Claims: map[string]any{"nickname": j.Text("nickname")},
			}
		},
	}
}

// Notion signs in with Notion, which gives no evidence for its addresses.
func Notion(clientID, secret string, opts ...Option) Provider {
	return named("notion", clientID, secret, opts)
}

func notion() Spec {
	return Spec{
		Name:     "notion",
		AuthURL:  "https://api.notion.com/v1/oauth/authorize",
		TokenURL: "https://api.notion.com/v1/oauth/token",
		UserURL:  "https://api.notion.com/v1/users/me",
		Params:   map[string]string{"owner": "user"},
		Header:   map[string]string{"Notion-Version": "2022-06-28"},
		Auth:     AuthBasic,
		Emails:   EmailUnproven,
		Map: func(j JSON) Profile {
			j = j.At("bot", "owner", "user") // the token is a bot's, the bot is the person's
			return Profile{
				Subject: j.Text("id"), Name: j.Text("name"), Avatar: j.Text("avatar_url"),
				Emails: OneEmail(j.Text("person", "email"), false),
			}
		},
	}
}

// Patreon signs in with Patreon.
func Patreon(clientID, secret string, opts ...Option) Provider {
	return named("patreon", clientID, secret, opts)
}

func patreon() Spec {
	return Spec{
		Name:     "patreon",
		AuthURL:  "https://www.patreon.com/oauth2/authorize",
		TokenURL: "https://www.patreon.com/api/oauth2/token",
		UserURL:  "https://www.patreon.com/api/oauth2/v2/identity?fields%5Buser%5D=full_name,email,vanity,image_url,is_email_verified",
		Scopes:   []string{"identity", "identity[email]"},
		Auth:     AuthBody,
		NoPKCE:   true,
		Map: func(j JSON) Profile {
			about := j.At("data", "attributes")
			return Profile{
				Subject: j.ID("data", "id"), Name: about.Text("full_name"), UserName: about.Text("vanity"),
				Avatar: about.Text("image_url"),
				Emails: OneEmail(about.Text("email"), about.Bool("is_email_verified")),
			}
		},
	}
}

// PayPal signs in with PayPal.
func PayPal(clientID, secret string, opts ...Option) Provider {
	return named("paypal", clientID, secret, opts)
}

// payPal isn't treated as OpenID Connect: its id tokens are signed with the secret.
func payPal() Spec {
	return Spec{
		Name:     "paypal",
		AuthURL:  "https://www.paypal.com/signin/authorize",
		TokenURL: "https://api-m.paypal.com/v1/oauth2/token",
		UserURL:  "https://api-m.paypal.com/v1/identity/oauth2/userinfo?schema=paypalv1.1",
		Scopes:   []string{"openid", "profile", "email"},
		Auth:     AuthBasic,
		NoPKCE:   true,
		Map: func(j JSON) Profile {
			return Profile{
				Subject: j.ID("user_id"), Name: j.Text("name"), Avatar: j.Text("picture"),
				Emails: OneEmail(j.Text("email"), j.Bool("email_verified")),
			}
		},
	}
}

// Reddit signs in with Reddit. It gives no address: use it with WithEmailOptional.
func Reddit(clientID, secret string, opts ...Option) Provider {
	return named("reddit", clientID, secret, opts)
}

func reddit() Spec {
	return Spec{
		Name:     "reddit",
		AuthURL:  "https://www.reddit.com/api/v1/authorize",
		TokenURL: "https://www.reddit.com/api/v1/access_token",
		UserURL:  "https://oauth.reddit.com/api/v1/me",
		Scopes:   []string{"identity"},
		// Reddit turns requests with a library's usual name away.
		Header: map[string]string{"User-Agent": "truekeel-auth/1 (sign-in; client {client_id})"},
		Auth:   AuthBasic,
		NoPKCE: true,
		Map: func(j JSON) Profile {
			icon, _, _ := strings.Cut(j.Text("icon_img"), "?")
			return Profile{Subject: j.ID("id"), Name: j.Text("name"), UserName: j.Text("name"), Avatar: icon}
		},
	}
}

// Slack signs in with Slack as older apps do; new apps use SlackOIDC. It gives no
// evidence for its addresses.
func Slack(clientID, secret string, opts ...Option) Provider {
	return named("slack", clientID, secret, opts)
}

func slack() Spec {
	return Spec{
		Name:     "slack",
		AuthURL:  "https://slack.com/oauth/authorize",
		TokenURL: "https://slack.com/api/oauth.access",
		UserURL:  "https://slack.com/api/openid.connect.userInfo",
		Scopes:   []string{"profile", "email", "openid"},
		Auth:     AuthBody,
		NoPKCE:   true,
		Emails:   EmailUnproven,
		Map:      slackProfile,
	}
}

// slackProfile reads both of Slack's profiles. Ids are unique per workspace.
func slackProfile(j JSON) Profile {
	const user, team = "https://slack.com/user_id", "https://slack.com/team_id"
	return Profile{
		Subject: j.Text(user), Name: j.Text("name"), Avatar: j.Text("picture"),
		Emails: OneEmail(j.Text("email"), j.Bool("email_verified")),
		Claims: map[string]any{"custom_claims": some(team, j.Text(team))},
	}
}

// Snapchat signs in with Snapchat, whose addresses are made up where there are any: use
// it with WithEmailOptional.
func Snapchat(clientID, secret string, opts ...Option) Provider {
	return named("snapchat", clientID, secret, opts)
}

func snapchat() Spec {
	const scope, issuer = "https://auth.snapchat.com/oauth2/api/", "https://accounts.snapchat.com/accounts/oauth2/token"
	query := url.Values{"query": {"{me{externalId displayName bitmoji{avatar id} email}}"}}
	return Spec{
		Name:     "snapchat",
		AuthURL:  "https://accounts.snapchat.com/accounts/oauth2/auth",
		TokenURL: "https://accounts.snapchat.com/accounts/oauth2/token",
		UserURL:  "https://kit.snapchat.com/v1/me?" + query.Encode(),
		Issuer:   issuer,
		Scopes:   []string{scope + "user.external_id", scope + "user.display_name", scope + "user.bitmoji.avatar"},
		Auth:     AuthBasic,
		Emails:   EmailUnproven,
		Map: func(j JSON) Profile {
			j = j.At("data", "me")
			return Profile{
				Subject: j.Text("externalId"), Name: j.Text("displayName"), Avatar: j.Text("bitmoji", "avatar"),
				Emails: OneEmail(j.Text("email"), false),
				Claims: map[string]any{"slug": j.Text("displayName")},
			}
		},
		hooks: hooks{iss: issuer, mapIDToken: standardProfile},
	}
}

// Spotify signs in with Spotify, which says itself that its addresses are unverified.
func Spotify(clientID, secret string, opts ...Option) Provider {
	return named("spotify", clientID, secret, opts)
}

func spotify() Spec {
	return Spec{
		Name:     "spotify",
		AuthURL:  "https://accounts.spotify.com/authorize",
		TokenURL: "https://accounts.spotify.com/api/token",
		UserURL:  "https://api.spotify.com/v1/me",
		Scopes:   []string{"user-read-email"},
		Auth:     AuthBasic,
		Emails:   EmailUnproven,
		Map: func(j JSON) Profile {
			return Profile{
				Subject: j.Text("id"), Name: j.Text("display_name"), Avatar: largest(j.List("images")),
				Emails: OneEmail(j.Text("email"), false),
			}
		},
	}
}

// largest is the address of the picture with the largest area.
func largest(images []JSON) (address string) {
	most := int64(-1)
	for _, i := range images {
		width, _ := i.Value("width").(json.Number)
		height, _ := i.Value("height").(json.Number)
		w, _ := width.Int64()
		h, _ := height.Int64()
		if area := w * h; area > most {
			most, address = area, i.Text("url")
		}
	}
	return address
}

// onSpotifyServer puts Spotify's addresses elsewhere; the profile is then right below
// the base.
func onSpotifyServer(s *Spec, base string) error {
	s.UserURL = "https://api.spotify.com/me"
	return s.rebase(base)
}

// Strava signs in with Strava. It gives no address: use it with WithEmailOptional.
func Strava(clientID, secret string, opts ...Option) Provider {
	return named("strava", clientID, secret, opts)
}

func strava() Spec {
	return Spec{
		Name:      "strava",
		AuthURL:   "https://www.strava.com/oauth/authorize",
		TokenURL:  "https://www.strava.com/oauth/token",
		UserURL:   "https://www.strava.com/api/v3/athlete",
		Scopes:    []string{"read"},
		Separator: ",",
		Auth:      AuthBody,
		NoPKCE:    true,
		Map: func(j JSON) Profile {
			return Profile{
				Subject: j.ID("id"), Name: joined(j.Text("firstname"), j.Text("lastname")),
				UserName: j.Text("username"), Avatar: j.Text("profile"),
			}
		},
	}
}

// TikTok signs in with TikTok. It gives no address: use it with WithEmailOptional.
func TikTok(clientKey, secret string, opts ...Option) Provider {
	return named("tiktok", clientKey, secret, opts)
}

func tikTok() Spec {
	return Spec{
		Name:      "tiktok",
		AuthURL:   "https://www.tiktok.com/v2/auth/authorize/",
		TokenURL:  "https://open.tiktokapis.com/v2/oauth/token/",
		UserURL:   "https://open.tiktokapis.com/v2/user/info/?fields=open_id,union_id,avatar_url,display_name",
		Scopes:    []string{"user.info.basic"},
		Separator: ",",
		Auth:      AuthBody,
		NoPKCE:    true,
		Map: func(j JSON) Profile {
			j = j.At("data", "user")
			return Profile{
				Subject: j.Text("open_id"), Name: j.Text("display_name"), Avatar: j.Text("avatar_url"),
				Claims: map[string]any{"custom_claims": some("union_id", j.Text("union_id"))},
			}
		},
		hooks: hooks{clientIDName: "client_key"},
	}
}

// Twitch signs in with Twitch, which gives out only verified addresses.
func Twitch(clientID, secret string, opts ...Option) Provider {
	return named("twitch", clientID, secret, opts)
}

func twitch() Spec {
	return Spec{
		Name:     "twitch",
		AuthURL:  "https://id.twitch.tv/oauth2/authorize",
		TokenURL: "https://id.twitch.tv/oauth2/token",
		UserURL:  "https://api.twitch.tv/helix/users",
		Scopes:   []string{"user:read:email"},
		Header:   map[string]string{"Client-Id": "{client_id}"},
		Auth:     AuthBody,
		Emails:   EmailProven,
		Map: func(j JSON) Profile {
			j = j.First("data")
			custom := make(map[string]any)
			for _, name := range []string{"broadcaster_type", "description", "type", "offline_image_url", "view_count"} {
				if j.Has(name) {
					custom[name] = j.Value(name)
				}
			}
			return Profile{
				Subject: j.Text("id"), Name: j.Text("login"), UserName: j.Text("login"), Avatar: j.Text("profile_image_url"),
				Emails: OneEmail(j.Text("email"), false),
				Claims: map[string]any{
					"nickname": j.Text("display_name"), "slug": j.Text("display_name"), "custom_claims": custom,
				},
			}
		},
	}
}

// X signs in with X by OAuth 2. People without a confirmed address have none here.
func X(clientID, secret string, opts ...Option) Provider { return named("x", clientID, secret, opts) }

func x() Spec {
	return Spec{
		Name:     "x",
		AuthURL:  "https://x.com/i/oauth2/authorize",
		TokenURL: "https://api.x.com/2/oauth2/token",
		UserURL:  "https://api.x.com/2/users/me?user.fields=id,name,username,confirmed_email,profile_image_url,url,created_at",
		Scopes:   []string{"users.email", "tweet.read", "users.read", "offline.access"},
		Auth:     AuthBasic,
		Emails:   EmailProven,
		Map: func(j JSON) Profile {
			j = j.At("data")
			page := ""
			if name := j.Text("username"); name != "" {
				page = "https://x.com/" + url.PathEscape(name)
			}
			return Profile{
				Subject: j.ID("id"), Name: j.Text("name"), UserName: j.Text("username"), Avatar: j.Text("profile_image_url"),
				Emails: OneEmail(j.Text("confirmed_email"), false),
				Claims: map[string]any{
					"profile": page, "website": j.Text("url"),
					"custom_claims": some("created_at", j.Text("created_at")),
				},
			}
		},
	}
}

// Yandex signs in with Yandex, which gives no evidence for its addresses.
func Yandex(clientID, secret string, opts ...Option) Provider {
	return named("yandex", clientID, secret, opts)
}

func yandex() Spec {
	return Spec{
		Name:     "yandex",
		AuthURL:  "https://oauth.yandex.com/authorize",
		TokenURL: "https://oauth.yandex.com/token",
		UserURL:  "https://login.yandex.ru/info?format=json",
		Scopes:   []string{"login:email", "login:info", "login:avatar"},
		Header:   map[string]string{"Authorization": "OAuth {access_token}"},
		Auth:     AuthBody,
		NoPKCE:   true,
		Emails:   EmailUnproven,
		Map: func(j JSON) Profile {
			avatar := ""
			if id := j.Text("default_avatar_id"); id != "" && !j.Bool("is_avatar_empty") {
				avatar = "https://avatars.yandex.net/get-yapic/" + id + "/islands-200"
			}
			return Profile{
				Subject: j.ID("id"), Name: j.Text("real_name"), UserName: j.Text("login"), Avatar: avatar,
				Emails: OneEmail(j.Text("default_email"), false),
			}
		},
	}
}

// Zoom signs in with Zoom.
func Zoom(clientID, secret string, opts ...Option) Provider {
	return named("zoom", clientID, secret, opts)
}

func zoom() Spec {
	return Spec{
		Name:     "zoom",
		AuthURL:  "https://zoom.us/oauth/authorize",
		TokenURL: "https://zoom.us/oauth/token",
		UserURL:  "https://api.zoom.us/v2/users/me",
		Auth:     AuthBasic,
		Map: func(j JSON) Profile {
			// Only people who signed up at Zoom by mail (100) can have an address
			// that nobody confirmed.
			verified := j.Bool("verified") || (j.Has("login_type") && j.ID("login_type") != "100")
			return Profile{
				Subject: j.ID("id"), Name: joined(j.Text("first_name"), j.Text("last_name")), Avatar: j.Text("pic_url"),
				Emails: OneEmail(j.Text("email"), verified),
			}
		},
	}
}

// some is an object with one member, nil if there is nothing in it.
func some(name, v string) map[string]any {
	if v == "" {
		return nil
	}
	return map[string]any{name: v}
}
