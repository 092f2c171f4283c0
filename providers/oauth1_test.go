package providers

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The example of Twitter's guide to signing requests. There the status is in the body,
// which is signed like the query.
func TestSignature(t *testing.T) {
	s := signer{
		key: "xvz1evFS4wEEPTGEFPHBog", secret: "kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw",
		nonce: func() string { return "kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg" },
		now:   func() time.Time { return time.Unix(1318622958, 0) },
	}
	header, err := s.header("POST", "https://api.twitter.com/1.1/statuses/update.json?include_entities=true&status="+
		url.QueryEscape("Hello Ladies + Gentlemen, a signed OAuth request!"),
		"370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb", "LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE", nil)
	require.NoError(t, err)
	require.Equal(t, `OAuth oauth_consumer_key="xvz1evFS4wEEPTGEFPHBog", `+
		`oauth_nonce="kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg", oauth_signature="hCtSmYh%2BiHYCEqBWrE7C7hYmtUk%3D", `+
		`oauth_signature_method="HMAC-SHA1", oauth_timestamp="1318622958", `+
		`oauth_token="370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb", oauth_version="1.0"`, header)
}

// The example of RFC 5849 (1.2) for a resource, whose parameters lack the version.
func TestSignatureOfRFC5849(t *testing.T) {
	s := signer{key: "dpf43f3p2l4k3l03", secret: "kd94hf93k423kf44"}
	u, err := url.Parse("http://photos.example.net/photos?file=vacation.jpg&size=original")
	require.NoError(t, err)
	require.Equal(t, "MdpQcU8iPSUjWoN/UDMsK2sui9I=", s.sign(signatureBase("GET", u, map[string]string{
		"oauth_consumer_key": s.key, "oauth_token": "nnch734d00sl2jdk", "oauth_signature_method": "HMAC-SHA1",
		"oauth_timestamp": "137131202", "oauth_nonce": "chapoH",
	}), "pfkkdhi9sl3r4s00"))
}

// RFC 5849, 3.4.1.1: parameters that occur twice, are empty, or need encoding twice.
func TestSignatureBase(t *testing.T) {
	u, err := url.Parse("HTTP://EXAMPLE.COM/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b&a3=2%20q&c2=")
	require.NoError(t, err)
	base := signatureBase("post", u, map[string]string{
		"oauth_consumer_key": "9djdj82h48djs9d2", "oauth_token": "kkk9d7dh3k39sjv7",
		"oauth_signature_method": "HMAC-SHA1", "oauth_timestamp": "137131201", "oauth_nonce": "7d8f3e4a",
	})
	require.Equal(t, "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26"+
		"c%2540%3D%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26"+
		"oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7", base)
}

func TestPercent(t *testing.T) {
	require.Equal(t, "Ladies%20%2B%20Gentlemen", percent("Ladies + Gentlemen"))
	require.Equal(t, "%E2%98%83", percent("☃"))
	require.Equal(t, "An%20encoded%20string%21", percent("An encoded string!"))
	require.Equal(t, "-._~%2A%27%28%29", percent("-._~*'()"))
}

func TestParseCredentials(t *testing.T) {
	for body, ok := range map[string]bool{
		"oauth_token=a&oauth_token_secret=b": true, "oauth_token=a&oauth_token_secret=b\n": true,
		"": false, "oauth_token=a": false, "oauth_token=&oauth_token_secret=": false, "<html>": false, "%zz": false,
	} {
		_, _, err := parseCredentials(body)
		require.Equal(t, ok, err == nil, body)
	}
}

func FuzzParseCredentials(f *testing.F) {
	f.Add("oauth_token=a&oauth_token_secret=b&oauth_callback_confirmed=true")
	f.Add("oauth_token=%00&oauth_token_secret=%zz")
	f.Add(`{"errors":[{"code":32}]}`)
	f.Fuzz(func(t *testing.T, body string) {
		c, _, err := parseCredentials(body)
		if err == nil && (c.token == "" || c.secret == "") {
			t.Fatal("credentials without content")
		}
	})
}
