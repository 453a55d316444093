"""The adb client: runs commands on phones over USB and Wi-Fi and recovers lost links."""
