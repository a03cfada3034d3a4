// The sandbox's Let's Encrypt: Pebble (https://github.com/letsencrypt/pebble), under Let's Encrypt's own names and at
// its path. Pebble's own command is not used: it serves /dir, shows its root certificate only over a connection that
// nobody can check yet, and gives an order that names no profile any of those that it has.
// Accounts, orders and keys live in memory, as Pebble's always do.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"flag"
	"fmt"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
)

// authority is one certificate authority: an ACME API under a name of its own, with a root of its own.
type authority struct {
	name        string
	api         http.Handler
	root        *ca.CAImpl
	certificate tls.Certificate
}

func main() {
	address := flag.String("listen", "", "`ADDRESS:PORT` to serve HTTPS on")
	resolver := flag.String("resolver", "", "`ADDRESS:PORT` of the DNS server that validations ask, over TCP")
	roots := flag.String("roots", "", "`FILE` that gets the root certificates, before those that it has")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "authority [OPTIONS] NAME=SECONDS…: names, and how long their certificates last")
		flag.PrintDefaults()
	}
	flag.Parse()

	authorities := map[string]*authority{}
	var newRoots []byte
	for _, argument := range flag.Args() {
		name, lifetime, _ := strings.Cut(argument, "=")
		seconds, err := strconv.ParseUint(lifetime, 10, 32)
		if err != nil {
			log.Fatalf("%s: NAME=SECONDS is wanted", argument)
		}
		made, err := newAuthority(name, seconds, *resolver)
		if err != nil {
			log.Fatalf("%s: %s", name, err)
		}
		newRoots = append(newRoots, made.root.GetRootCert(0).PEM()...)
		authorities[name] = made
	}
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		log.Fatal(err)
	}
	if err := writeRoots(newRoots, *roots); err != nil {
		log.Fatal(err)
	}
	server := http.Server{
		Handler:           byName(authorities),
		TLSConfig:         &tls.Config{GetCertificate: certificateByName(authorities)},
		ReadHeaderTimeout: 30 * time.Second,
	}
	log.Fatal(server.ServeTLS(listener, "", ""))
}

func newAuthority(name string, seconds uint64, resolver string) (*authority, error) {
	const retryAfterSeconds = 1
	logger := log.New(os.Stdout, name+": ", log.LstdFlags)
	// An order that names no profile gets any of them: so there is one.
	profiles := map[string]ca.Profile{"classic": {
		Description:       fmt.Sprintf("valid for %d seconds", seconds),
		ValidityPeriod:    seconds,
		PromoteCommonName: true,
	}}
	store := db.NewMemoryStore()
	root := ca.New(logger, store, "", "rsa", 0, 1, profiles)
	validation := va.New(logger, 80, 443, false, resolver, store)
	api := wfe.New(logger, store, validation, root, []string{"letsencrypt.org"}, false, false,
		retryAfterSeconds, retryAfterSeconds)
	certificate, err := serverCertificate(root, name)
	return &authority{name, api.Handler(), root, certificate}, err
}

// byName answers for each authority at its name, at Let's Encrypt's path of the directory; all other paths are read
// from that.
func byName(authorities map[string]*authority) http.Handler {
	return http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		host, _, err := net.SplitHostPort(request.Host)
		if err != nil {
			host = request.Host
		}
		asked := authorities[strings.ToLower(host)]
		if asked == nil {
			http.NotFound(response, request)
			return
		}
		if request.URL.Path == "/directory" {
			request.URL.Path = wfe.DirectoryPath
		}
		asked.api.ServeHTTP(response, request)
	})
}

func certificateByName(authorities map[string]*authority) func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if asked := authorities[strings.ToLower(hello.ServerName)]; asked != nil {
			return &asked.certificate, nil
		}
		return nil, errors.New("no such name here")
	}
}

// serverCertificate is signed by the root itself: who trusts what the authority issues can trust its API.
func serverCertificate(root *ca.CAImpl, name string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return tls.Certificate{}, err
	}
	template := x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		DNSNames:     []string{name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(10, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, root.GetRootCert(0).Cert, &key.PublicKey, root.GetRootKey(0))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// writeRoots puts certificates before those that the file has: what was issued before can still be checked. The file is
// replaced whole or not at all.
func writeRoots(roots []byte, file string) error {
	old, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.WriteFile(file+".new", append(roots, old...), 0o644); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}
