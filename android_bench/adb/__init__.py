"""The adb client, over USB and Wi-Fi, and links that break."""
