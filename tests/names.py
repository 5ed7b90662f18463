"""Names that tests use again and again, with their types."""

from walletd.vocabulary.identifiers import AssetCode, WalletId

ALICE, BOB, CAROL = WalletId("alice"), WalletId("bob"), WalletId("carol")
EUR, BTC = AssetCode("EUR"), AssetCode("BTC")
