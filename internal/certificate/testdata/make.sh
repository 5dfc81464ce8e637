#!/bin/sh
# Makes the files of this folder anew, in the folder that is given: keys and certificates of no use but for tests, as openssl and
# keytool write them. The password is "secret", where there is one.
set -eu
cd "$1"
days=36500
ssl() { openssl "$@" 2>/dev/null; }

ssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days $days -subj '/CN=test authority'
# A second authority, so that stores have several entries.
ssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout other.key -out other.pem -days $days -subj '/CN=other authority'

issue() { # name, options of the key
	name=$1; shift
	ssl req -new -nodes "$@" -keyout "$name.pkcs8.key" -subj "/CN=$name" -out "$name.csr"
	ssl x509 -req -in "$name.csr" -CA ca.pem -CAkey ca.key -set_serial "0x$(printf %s "$name" | od -An -tx1 | tr -d ' \n')" -days $days -out "$name.pem"
	rm "$name.csr"
}
issue ec -newkey ec -pkeyopt ec_paramgen_curve:P-256
issue rsa -newkey rsa:2048
issue ed25519 -newkey ed25519
cat ec.pem ca.pem >ec.chain.pem
cat ca.pem ec.pem >ec.reversed.pem
cat ca.pem other.pem >both.pem

ssl rsa -traditional -in rsa.pkcs8.key -out rsa.pkcs1.key
ssl rsa -traditional -aes-256-cbc -passout pass:secret -in rsa.pkcs8.key -out rsa.old-aes256.key
ssl rsa -traditional -des3 -passout pass:secret -in rsa.pkcs8.key -out rsa.old-des3.key
ssl ec -in ec.pkcs8.key -out ec.sec1.key
ssl ec -aes-128-cbc -passout pass:secret -in ec.pkcs8.key -out ec.old-aes128.key
(ssl ecparam -name prime256v1 && cat ec.sec1.key) >ec.parameters.key
cat ec.chain.pem ec.pkcs8.key >ec.all.pem

box() { # name, options
	name=$1; shift
	ssl pkcs8 -topk8 -provider legacy -provider default -passout pass:secret -in ec.pkcs8.key -out "ec.$name.key" "$@"
}
for scheme in PBE-MD5-DES PBE-SHA1-DES PBE-SHA1-RC2-64 PBE-MD5-RC2-64 PBE-SHA1-3DES PBE-SHA1-RC2-128 PBE-SHA1-RC2-40 PBE-SHA1-RC4-128 PBE-SHA1-2DES; do
	box "$scheme" -v1 $scheme
done
for cipher in aes-128-cbc aes-192-cbc aes-256-cbc des3; do
	box "pbes2-$cipher" -v2 $cipher
done
for prf in hmacWithSHA1 hmacWithSHA224 hmacWithSHA384 hmacWithSHA512; do
	box "pbes2-$prf" -v2 aes-256-cbc -v2prf $prf
done
box pbes2-scrypt -scrypt
ssl pkcs8 -topk8 -passout pass:secret -in rsa.pkcs8.key -out rsa.pbes2.key
ssl pkcs8 -topk8 -v1 PBE-SHA1-3DES -passout pass:secret -in rsa.pkcs8.key -out rsa.PBE-SHA1-3DES.key
ssl pkcs8 -topk8 -passout pass:pässwörd -in ec.pkcs8.key -out ec.umlaut.key

p12() { # name, options
	name=$1; shift
	ssl pkcs12 -export -provider legacy -provider default -passout pass:secret -out "$name.p12" "$@"
}
p12 pair -inkey ec.pkcs8.key -in ec.pem -certfile ca.pem -name ec
p12 pair-old -legacy -inkey rsa.pkcs8.key -in rsa.pem -certfile ca.pem # 3DES and RC2-40, as before OpenSSL 3
p12 pair-des -keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1 -inkey ec.pkcs8.key -in ec.pem
p12 pair-open -keypbe AES-256-CBC -certpbe NONE -macalg sha512 -inkey ec.pkcs8.key -in ec.pem
p12 pair-plain -keypbe NONE -certpbe NONE -nomac -inkey ec.pkcs8.key -in ec.pem
p12 trust-openssl -nokeys -in both.pem
p12 one-openssl -nokeys -in ca.pem

tool() { keytool "$@" >/dev/null 2>&1; }
for kind in PKCS12 JKS; do
	low=$(echo $kind | tr A-Z a-z)
	tool -importcert -noprompt -storetype $kind -keystore "trust.$low" -storepass secretsecret -alias one -file ca.pem
	tool -importcert -noprompt -storetype $kind -keystore "trust.$low" -storepass secretsecret -alias two -file other.pem
	tool -importcert -noprompt -storetype $kind -keystore "one.$low" -storepass secretsecret -alias one -file ca.pem
	tool -importkeystore -noprompt -srcstoretype PKCS12 -srckeystore pair.p12 -srcstorepass secret \
		-deststoretype $kind -destkeystore "keys.$low" -deststorepass secretsecret -destkeypass secretsecret
	tool -importcert -noprompt -storetype $kind -keystore "keys.$low" -storepass secretsecret -alias authority -file other.pem
	tool -genkeypair -storetype $kind -keystore "keys.$low" -storepass secretsecret -keypass secretsecret -alias second \
		-keyalg EC -groupname secp256r1 -dname CN=second -validity $days
done
tool -importkeystore -noprompt -srcstoretype PKCS12 -srckeystore pair.p12 -srcstorepass secret \
	-deststoretype JKS -destkeystore keypass.jks -deststorepass secretsecret -destkeypass otherother
tool -J-Dkeystore.pkcs12.legacy -importcert -noprompt -storetype PKCS12 -keystore trust-old.pkcs12 -storepass secretsecret -alias one -file ca.pem
tool -importcert -noprompt -storetype JCEKS -keystore trust.jceks -storepass secretsecret -alias one -file ca.pem
rm other.key ca.key
